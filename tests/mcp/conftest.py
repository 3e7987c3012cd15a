"""Companies for tests: one that all share, and new ones for those that stop theirs."""

import pytest
from company import ERAS, Company


@pytest.fixture(scope="session")
def company(tmp_path_factory):
    company = Company(tmp_path_factory.mktemp("shared")).start()
    yield company
    assert company.stop() == 0, company.story.read_text()


@pytest.fixture
def own_company(tmp_path):
    company = Company(tmp_path).start()
    yield company
    company.kill()


@pytest.fixture(params=["stdio", "http"])
def transport(request):
    return request.param


@pytest.fixture(params=list(ERAS))
def era(request):
    return request.param


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"
