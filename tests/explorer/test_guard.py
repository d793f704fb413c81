import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from vaelens.explorer.guard import MOST_BYTES, Guard

QUESTION = "/gradio_api/component_server/"


def asked(path="/", method="GET", names=("localhost", "127.0.0.1", "[::1]"), **headers):
    """The status that a request gets, and the headers of the answer."""
    answered = []

    async def server(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"public")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        answered.append(message)

    given = {"host": "localhost:7860"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {"type": "http", "path": path, "method": method}
    scope["headers"] = [(name.encode(), str(value).encode()) for name, value in given.items()]
    with ThreadPoolExecutor(1) as worker:  # a browser of other tests may have a loop in this thread
        worker.submit(lambda: asyncio.run(Guard(server, names)(scope, None, send))).result()
    return answered[0]["status"], dict(answered[0]["headers"])


@pytest.mark.parametrize("path", ["/", "/assets/index.js", "/static/fonts/a.woff2", "/theme.css", "/config"])
def test_the_page_and_its_files_are_let_through(path):
    assert asked(path)[0] == 200


def test_questions_are_let_through_up_to_a_size():
    assert asked(QUESTION, "POST", content_length=MOST_BYTES)[0] == 200
    assert asked(QUESTION, "POST", content_length=MOST_BYTES + 1)[0] == 413
    assert asked(QUESTION, "POST")[0] == 413, "of unknown length"
    assert asked(QUESTION, "POST", content_length="-1")[0] == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://example.org"),
        ("GET", "/assets/../../etc/passwd"),
        ("POST", "/"),
        ("POST", "/gradio_api/queue/join"),
        ("DELETE", QUESTION),
    ],
)
def test_nothing_else_is(method, path):
    assert asked(path, method, content_length=0)[0] == 404


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "LOCALHOST", "[::1]:7860", "[::1]"])
def test_it_answers_to_the_names_of_this_machine(host):
    assert asked(host=host)[0] == 200


@pytest.mark.parametrize("host", ["example.org", "example.org:7860", "localhost.example.org", "", "10.0.0.1:7860"])
def test_a_page_of_another_site_does_not_reach_it_under_a_name_of_its_own(host):
    assert asked(host=host)[0] == 403
    assert asked(host=host, names=None)[0] == 200, "where others were let in"


def test_answers_forbid_the_page_to_go_elsewhere():
    headers = asked()[1]
    assert b"connect-src 'self'" in headers[b"content-security-policy"]
    assert b"http" not in headers[b"content-security-policy"]
    assert (headers[b"cache-control"], headers[b"referrer-policy"]) == (b"no-store", b"no-referrer")
    assert asked("/assets/a.js")[1][b"cache-control"] == b"public"
