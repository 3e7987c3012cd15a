"""Another language's NATS client: publish work, follow what happens to it, replay it."""

import json

import anyio
import nats
import pytest
from company import BINARY, PATIENCE, eventually

pytestmark = pytest.mark.anyio


async def test_work_is_published_followed_and_replayed(company, tmp_path):
    connection = await nats.connect(**company.broker())
    try:
        events = await connection.subscribe("nexus.event.qa.*")
        stream = connection.jetstream()
        work = {"description": f"echo from nats {tmp_path.name}", "project_path": str(tmp_path), "preferred_agent": "shell"}
        work = json.dumps(work).encode()
        for _ in range(2):
            await stream.publish("nexus.inbox.qa", work, headers={"Nats-Msg-Id": str(tmp_path)})

        task, types = None, []
        with anyio.fail_after(PATIENCE):
            async for message in events.messages:
                event = json.loads(message.data)
                task = task or event["task_id"]
                if event["task_id"] == task:
                    types.append(message.headers["ce-type"])
                    assert message.headers["ce-id"] and message.headers["traceparent"]
                    if event["what"]["type"] in ("completed", "failed", "cancelled"):
                        break
        assert types[0].endswith("started") and types[-1].endswith("completed"), types

        replay = await stream.subscribe(f"nexus.*.qa.>", stream="NEXUS_TASKS", ordered_consumer=True)
        seen = []
        with anyio.fail_after(PATIENCE):
            async for message in replay.messages:
                if task in message.subject:
                    seen.append(message.subject.split(".")[1])
                    if json.loads(message.data).get("what", {}).get("type") == "completed":
                        break
        assert seen == ["queue", "event", "event"]

        async with company.client() as asked:
            status = await asked.ok("getTaskStatus", task_id=task)
            assert status["result"]["output"] == f"from nats {tmp_path.name}\n"
    finally:
        await connection.close()


async def test_what_is_no_work_is_dead_lettered(company):
    connection = await nats.connect(**company.broker())
    try:
        dead = await connection.subscribe("nexus.dead.qa.*")
        await connection.jetstream().publish("nexus.inbox.qa", b"{ this is no JSON")
        with anyio.fail_after(PATIENCE):
            letter = json.loads((await dead.next_msg(PATIENCE)).data)
        assert letter["payload"] == "{ this is no JSON"
        assert letter["refusal"]["kind"] == "invalid_input" and letter["refusal"]["message"]
        listed = await anyio.run_process([BINARY, "--data-dir", str(company.data), "dead"])
        said = listed.stdout.decode()
        assert "nexus.inbox.qa" in said and "{ this is no JSON" in said and letter["refusal"]["message"] in said
    finally:
        await connection.close()


async def test_the_ceo_answers_requests(company):
    connection = await nats.connect(**company.broker())
    try:
        found = await connection.request("$SRV.PING", b"", timeout=PATIENCE)
        assert json.loads(found.data)["type"].startswith("io.nats.micro")
        question = json.dumps({"description": "echo asked", "department": "qa", "task_type": "command"}).encode()
        answer = json.loads((await connection.request("nexus.ceo.submit", question, timeout=PATIENCE)).data)
        task = answer["ok"]["task_id"]
        bad = json.dumps({"description": "x", "department": "nowhere"}).encode()
        refused = json.loads((await connection.request("nexus.ceo.submit", bad, timeout=PATIENCE)).data)
        assert refused["refused"]["kind"] == "unknown_department"
        async with company.client() as asked:

            async def ended():
                return (await asked.ok("getTaskStatus", task_id=task))["status"] == "completed"

            await eventually(ended, f"{task} was never completed")
    finally:
        await connection.close()
