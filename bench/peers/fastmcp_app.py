"""An MCP server with one tool that does nothing, by FastMCP: the floor of a tool call."""

import sys


def noop(task_description: str, department: str = "", project_path: str = "") -> dict:
    """Does nothing."""
    return {"status": "success"}


if __name__ == "__main__":
    from fastmcp import FastMCP

    server = FastMCP("bench")
    server.tool(noop)
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False, log_level="warning")
