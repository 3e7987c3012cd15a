"""What is wrong is refused by a tool's own answer, which names it and says what to do."""

import pytest
from company import told

pytestmark = pytest.mark.anyio

UNKNOWN = "01980000-0000-7000-8000-000000000000"


async def test_unknown_names(company, transport, era):
    async with company.client(transport, era) as asked:
        agent = await asked.refused("delegateTask", task_description="x", preferred_agent="gpt")
        assert agent["status"] == "error"
        assert agent["message"].startswith("Invalid agent type: gpt. Valid options: ") and "shell" in agent["message"]
        department = await asked.refused("delegateTask", task_description="x", department="enginering")
        assert "did you mean engineering?" in department["message"]

        status = await asked.refused("getTaskStatus", task_id=UNKNOWN)
        assert (status["status"], status["task_id"]) == ("not_found", UNKNOWN)
        assert status["message"].startswith("Task not found. ")
        cancel = await asked.refused("cancelTask", task_id=UNKNOWN)
        assert (cancel["status"], cancel["task_id"], cancel["message"]) == ("error", UNKNOWN, "Task not found")
        for tool in ("getTaskLog", "retryTask"):
            assert (await asked.refused(tool, task_id=UNKNOWN))["message"] == "Task not found"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "task_description"),
        ({"task_description": 5}, "task_description"),
        ({"task_description": "x", "context": "text"}, "context"),
        ({"task_description": "x", "context": [1]}, "context"),
        ({"task_description": "x", "priority": 11}, "priority"),
        ({"task_description": "x", "priority": "high"}, "priority"),
        ({"task_description": "x", "not_before": "tomorrow"}, "not_before"),
        ({"task_description": "x", "prefered_agent": "shell"}, "prefered_agent"),
    ],
)
async def test_arguments_of_the_wrong_form(company, arguments, named):
    async with company.client() as asked:
        answer = await asked.refused("delegateTask", **arguments)
        assert answer["argument"] == named and f'"{named}"' in answer["message"], answer


async def test_descriptions_that_are_no_work(company, transport, era):
    async with company.client(transport, era) as asked:
        for empty in ("", "  \n"):
            assert "empty" in (await asked.refused("delegateTask", task_description=empty))["message"]
        long = await asked.refused("delegateTask", task_description="x" * (1 << 20))
        assert "1048576 bytes" in long["message"] and "file" in long["message"]
        assert "NUL" in (await asked.refused("delegateTask", task_description="a\0b"))["message"]
        assert (await asked.refused("delegateTask", task_description="x", timeout_seconds=0))["kind"] == "invalid_input"


async def test_prose_for_which_there_is_no_coding_agent(company, transport, era):
    async with company.client(transport, era) as asked:
        for arguments in ({}, {"department": "qa"}, {"task_type": "testing"}):
            answer = await asked.refused("delegateTask", task_description="touch pwned", **arguments)
            assert answer["kind"] == "no_agent" and '"shell" runs commands, not prose' in answer["message"], answer


async def test_a_project_that_is_not_there(company, tmp_path):
    async with company.client() as asked:
        missing = tmp_path / "nowhere"
        result = await asked.call("delegateTask", task_description="true", preferred_agent="shell", project_path=str(missing))
        answer = told(result)
        if not result.is_error:
            answer = await asked.ended(answer["task_id"])
            assert answer["status"] == "failed"
        assert str(missing) in (answer.get("error") or answer["message"])


async def test_an_unknown_tool_is_a_fault_of_the_protocol(company, transport, era):
    async with company.client(transport, era) as asked:
        with pytest.raises(Exception, match="Unknown tool: cde_nonsense"):
            await asked.client.call_tool("cde_nonsense", {})
