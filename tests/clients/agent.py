"""An agent's client, the official one for Python: it lists the tools of `syncline mcp`, calls each, and applies only what a person approved.

Arguments: the program, the project's folder, and the Salesforce id of a record that is to be synced. The client checks each result against
the schema that the tool has told.
"""

import json
import os
import pty
import re
import sys

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

PROGRAM, PROJECT, RECORD = sys.argv[1:4]


def approve(plan: str, answer: bytes) -> str:
    """A person at a terminal: what `syncline approve` says there."""
    said = []
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(PROJECT)
        os.execv(PROGRAM, [PROGRAM, "approve", plan])
    asked = False
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        said.append(part.decode())
        if not asked and "[y/N]" in "".join(said):
            asked = True
            os.write(terminal, answer)
    os.waitpid(child, 0)
    assert asked, said
    return "".join(said)


async def main() -> None:
    server = StdioServerParameters(command=PROGRAM, args=["mcp"], cwd=PROJECT, env=dict(os.environ))
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        begun = await session.initialize()
        assert begun.server_info.name == "syncline", begun
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"status", "validate", "diff", "plan", "why", "failures", "runs", "apply"}, tools
        assert all(tool.annotations.read_only_hint == (name != "apply") for name, tool in tools.items())

        async def call(name, **arguments):
            return await session.call_tool(name, arguments)

        async def read(name, **arguments):
            result = await call(name, **arguments)
            assert not result.is_error, (name, result.content)
            assert json.loads(result.content[0].text) == result.structured_content, name
            return result

        assert (await read("validate", online=True)).structured_content["errors"] == 0
        assert len((await read("status")).structured_content["pipelines"]) == 2
        planned = await read("plan", full=True, sample=1, save=True)
        creates = sum(len(pipeline["changes"]) for pipeline in planned.structured_content["pipelines"])
        assert creates >= 2, planned.structured_content
        words = planned.content[1].text
        digest, file = re.search(r"digest is ([0-9a-f]{64})", words).group(1), re.search(r"approve (\S+)$", words).group(1)
        # Before a person has approved it, after they said no, and with another digest: nothing is applied.
        assert (await call("apply", digest=digest)).is_error
        assert "nothing was approved" in approve(file, b"n\n")
        refused = await call("apply", digest=digest)
        assert refused.is_error and "SL6040" in refused.content[0].text, refused.content
        approved = approve(file, b"y\n")
        assert digest in approved, approved
        assert (await call("apply", digest="0" * 64)).is_error
        # The file is no matter any more: what was looked at is applied.
        os.remove(file)
        done = await read("apply", digest=digest)
        assert sum(pipeline["created"] for pipeline in done.structured_content["pipelines"]) > 2, done.structured_content
        assert (await call("apply", digest=digest)).is_error, "an approval is for one try"
        assert (await read("why", id=RECORD)).structured_content["salesforce_id"] == RECORD
        run = (await read("runs", limit=1)).structured_content["runs"][0]["run"]
        assert (await read("runs", id=run)).structured_content["run"]["run"] == run
        await read("failures", pipeline="subscriptions")
        # Wrong words are refused with their reason, and the server lives on.
        for name, arguments in [("why", {}), ("why", {"id": "--help"}), ("nothing", {}), ("plan", {"names": "all"}), ("status", {"x": 1})]:
            try:
                assert (await call(name, **arguments)).is_error, (name, arguments)
            except Exception as error:
                assert not isinstance(error, AssertionError), error
        await read("status")


anyio.run(main)
print("ok")
