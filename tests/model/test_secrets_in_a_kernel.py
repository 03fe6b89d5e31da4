"""One secret, used everywhere in a real kernel: a page, a saved notebook, a log and the state have none of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.kernels import RealKernel
from tests.servers.auth_faults import Login, basic_auth, basic_value
from tests.servers.faults import hold_after, set_header, status
from tests.servers.files import FileSpec
from tests.servers.oracle import hits_in_texts, hits_in_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernels import Message
    from tests.servers.fixtures import StartFaultServer, StartProxy

SENTINEL = "S3nt1nel.of.Secrets"
SIZE = 400_000
LOGIN = Login(user="ada", password=SENTINEL)

BEGIN = """
%load_ext bgdl_jupyter
%xmode Verbose
import logging, pathlib
logging.basicConfig(filename="everything.log", level=logging.DEBUG, force=True)
from bgdl_jupyter import BackgroundDownloader, PasswordCredential
def secret(): return pathlib.Path("../secret").read_text()
downloader = BackgroundDownloader(
    server_credential=PasswordCredential("files", "ada", secret()),
    proxy_credential=PasswordCredential("proxy", "ada", secret()),
    proxy="PROXY", max_retries=0,
)
downloader.set_request_header("X-Api-Key", secret())
downloader.set_request_header("X-Odd", secret(), secret=True)
def make(path, name, **options):
    return downloader.create_download(f"SERVER{path}?token={secret()}", name, **options)
good, bad = make("/held", "good"), make("/bad", "bad", request_body_file="../secret")
user_info = downloader.create_download(f"SERVER/user".replace("//", f"//ada:{secret()}@", 1), "user")
"""


def outputs(messages: list[Message]) -> list[str]:
    """Return what a page gets; what the user typed is the user's."""
    return [json.dumps(each.content) for each in messages if each.type != "execute_input"]


def test_a_sentinel_is_sent_and_found_nowhere_else(fault_server: StartFaultServer, proxy: StartProxy, tmp_path: Path):
    echo = set_header("X-Echo", SENTINEL)
    server = fault_server(
        {
            "/held": FileSpec(size=SIZE, faults=(basic_auth(LOGIN), echo, hold_after(SIZE // 2, until="go", on=1))),
            "/bad": FileSpec(size=SIZE, faults=(status(500, reason=SENTINEL, body=SENTINEL.encode()),)),
            "/user": FileSpec(size=SIZE, faults=(basic_auth(LOGIN),)),
        }
    )
    middle = proxy(login=LOGIN)
    (tmp_path / "secret").write_text(SENTINEL)
    work, state = tmp_path / "work", tmp_path / "state"
    work.mkdir()
    with RealKernel(cwd=work, env={"BGDL_STATE_FILE": str(state / "state.sqlite3")}) as kernel:
        begun = kernel.run(BEGIN.replace("SERVER", server.url("")).replace("PROXY", middle.url()))
        assert begun.error is None
        kernel.run("display(downloader); display(good); good.start(); user_info.start()")
        server.wait_until(lambda: server.body_bytes_sent("/held") >= SIZE // 2)
        shown = kernel.run(
            "print(repr(downloader), repr(good), good.request_headers, good.trait_values())\n"
            "print(good.get_response_information())"
        )
        assert shown.error is None
        assert "<secret>" in shown.text
        failed = kernel.run("bad.wait(20)")
        assert failed.error is not None
        assert "500" in failed.error
        server.events.set("go")
        assert kernel.run("good.wait(20); user_info.wait(20)").error is None
        assert kernel.models()  # the widgets' state, which a notebook saves
        assert hits_in_texts(SENTINEL, outputs(kernel.messages)) == []
        assert hits_in_texts(SENTINEL, [json.dumps(kernel.models(), default=str)]) == []
    assert hits_in_tree(SENTINEL, state) == []
    assert (work / "everything.log").stat().st_size > 0
    assert hits_in_tree(SENTINEL, work) == []

    sent = server.requests("/held")[0]
    assert sent.target.endswith(SENTINEL)
    assert [sent.header(name) for name in ("Authorization", "X-Api-Key", "X-Odd")] == [
        basic_value(LOGIN),
        SENTINEL,
        SENTINEL,
    ]
    assert server.requests("/bad")[0].body == SENTINEL.encode()
    assert middle.requests[-1].header("Proxy-Authorization") == basic_value(LOGIN)
