"""Uncommitted changes of a project: said in the answers, and started from where that is asked for."""

import subprocess

import pytest
from company import Company

pytestmark = pytest.mark.anyio


@pytest.fixture
def cloning(tmp_path):
    company = Company(tmp_path)
    for file in (company.config / "departments").iterdir():
        text = file.read_text().replace('mode = "scratch"', 'mode = "clone"')
        file.write_text(text + 'level = "none"\n')
    company.start()
    yield company
    company.kill()


@pytest.fixture
def project(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.txt").write_text("one\n")
    for command in ["init -q", "add .", "-c user.name=A -c user.email=a@example.org commit -qm first"]:
        subprocess.run(["git", *command.split()], cwd=project, check=True)
    (project / "a.txt").write_text("two\n")
    return project


async def test_they_are_said_and_can_be_started_from(cloning, project):
    async with cloning.client("stdio", cwd=project) as asked:
        work = {"task_description": "cat a.txt", "preferred_agent": "shell"}
        answer = await asked.ok("delegateTask", **work)
        uncommitted = {"changes": 1, "elsewhere": 0, "paths": ["a.txt"], "included": False}
        assert answer["uncommitted"] == uncommitted
        assert "1 uncommitted change in" in answer["message"] and "is left out (a.txt)" in answer["message"]
        assert "include_uncommitted" in answer["message"]
        ended = await asked.ended(answer["task_id"])
        assert ended["result"]["output"] == "one\n"
        assert ended["uncommitted"] == uncommitted

        answer = await asked.ok("runTask", include_uncommitted=True, **work)
        assert answer["result"]["output"] == "two\n"
        assert answer["uncommitted"] == uncommitted | {"included": True}
        assert "is included (a.txt)" in answer["message"]
