"""The server behind nginx as Debian packages it, under a prefix and with nginx's own headers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from playwright.sync_api import Browser, expect
from serving import DEMO, OTHER, Server, data_address

pytestmark = pytest.mark.slow

CONFIGURATION = """
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /formulas/ {{ proxy_pass http://127.0.0.1:{upstream}/; }}
        location /kept/formulas/ {{ rewrite ^/kept(.*) $1 break; proxy_pass http://127.0.0.1:{upstream}; }}
    }}
    server {{
        listen 127.0.0.1:{socket_port};
        location /formulas/ {{
            include /etc/nginx/proxy_params;
            proxy_pass http://unix:{folder}/texlens.sock;
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The addresses of two nginx servers: before a port, with nginx's headers; before a socket."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    servers = [
        Server("--root-path", "/formulas"),
        Server("--root-path", "/formulas/", "--unix-socket", str(folder / "texlens.sock")),
    ]
    ports = [free_port(), free_port()]
    (folder / "nginx.conf").write_text(
        CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=folder,
            port=ports[0],
            socket_port=ports[1],
            upstream=servers[0].port,
        )
    )
    nginx = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    )
    try:
        for port in ports:
            deadline = time.monotonic() + 30
            while True:
                try:
                    address = f"http://127.0.0.1:{port}/formulas/v1/ready"
                    if httpx.get(address).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                assert time.monotonic() < deadline, (folder / "error.log").read_text()
                time.sleep(0.1)
        yield [f"http://127.0.0.1:{port}/formulas" for port in ports]
    finally:
        nginx.send_signal(signal.SIGTERM)
        nginx.wait(10)
        for server in servers:
            assert "Traceback" not in server.stop()
        assert not (folder / "texlens.sock").exists()


@pytest.mark.parametrize("which", [0, 1], ids=["port", "socket"])
def test_page_api_and_openai_client(
    proxies: list[str], which: int, browser: Browser, server: Server
) -> None:
    url = proxies[which]
    direct = httpx.post(f"{server.url}/v1/read", files={"file": OTHER}).json()["readings"][0]
    answer = httpx.post(f"{url}/v1/read", files={"file": OTHER})
    assert answer.json()["readings"][0]["latex"] == direct["latex"]
    assert httpx.get(f"{url}/v1/read").status_code == 405

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
    picture = {"type": "image_url", "image_url": {"url": data_address(OTHER)}}
    for stream in (False, True):
        given = client.chat.completions.create(
            model="texlens",
            messages=[{"role": "user", "content": [picture]}],  # type: ignore[arg-type]
            stream=stream,
        )
        if stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in given)  # type: ignore[union-attr]
        else:
            text = given.choices[0].message.content  # type: ignore[union-attr]
        assert text == direct["normal"]

    context = browser.new_context()
    page = context.new_page()
    page.goto(url)  # nginx and the server add the slash
    assert page.url == f"{url}/"
    page.set_input_files("#choose", DEMO / "02-euler.png")
    expect(page.locator("textarea.latex")).to_have_value(direct["latex"], timeout=60_000)
    expect(page.locator(".rendered")).to_be_visible()
    page.get_by_role("link", name="API").click()
    expect(page.get_by_text("/v1/render").first).to_be_visible()
    page.locator("a.brand").click()
    expect(page.locator("#choose")).to_have_count(1)
    context.close()


def test_a_proxy_that_keeps_the_prefix(proxies: list[str]) -> None:
    url = proxies[0].replace("/formulas", "/kept/formulas")
    assert httpx.get(f"{url}/v1/health").json()["status"] == "ok"
    assert httpx.post(f"{url}/v1/read", files={"file": OTHER}).status_code == 200
