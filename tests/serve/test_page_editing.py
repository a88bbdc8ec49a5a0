"""The page: other readings by keyboard, cropping and rotating, PDFs, and accessibility (axe)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from serving import DEMO, Server

pytestmark = pytest.mark.slow

READ = "textarea.latex"
QUADRATIC = r"x = \frac{-b \pm \sqrt{b^{2} - 4ac}}{2a}"
PATIENCE_MS = 30_000
AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    context = browser.new_context(base_url=server.url, viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto("/")
    yield opened
    context.close()
    assert errors == []


def read(page: Page, path: Path) -> str:
    count = page.locator(READ).count()
    page.set_input_files("#choose", path)
    expect(page.locator(".done:not([hidden])")).to_have_count(count + 1, timeout=PATIENCE_MS)
    return page.locator(READ).first.input_value()


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": AA}})
    return [
        f"{violation['id']}: {[node['html'][:120] for node in violation['nodes']]}"
        for violation in found.response["violations"]
    ]


def test_other_readings_by_keyboard(page: Page) -> None:
    latex = read(page, DEMO / "05-cauchy-schwarz.png")
    page.locator(READ).focus()
    page.keyboard.press("Alt+a")
    choices = page.locator(".alternatives input")
    expect(choices.first).to_be_focused(timeout=PATIENCE_MS)
    assert choices.count() >= 2
    page.keyboard.press("ArrowDown")
    expect(page.locator(READ)).not_to_have_value(latex)
    page.keyboard.press("ArrowUp")
    expect(page.locator(READ)).to_have_value(latex)
    assert violations(page) == []


def test_a_picture_without_other_readings(page: Page) -> None:
    latex = read(page, DEMO / "05-cauchy-schwarz.png")
    page.route(
        "**/v1/read?alternatives*",
        lambda route: route.fulfill(json={"readings": [{"latex": latex}]}),
    )
    page.get_by_role("button", name="Other readings").click()
    expect(page.get_by_role("button", name="No other readings")).to_be_visible()
    expect(page.locator(".alternatives")).to_be_hidden()
    assert page.locator(READ).input_value() == latex


def test_crop_and_rotate(page: Page, tmp_path: Path) -> None:
    whole = Image.new("RGB", (900, 500), "white")
    with Image.open(DEMO / "01-quadratic.png") as small, Image.open(DEMO / "03-basel.png") as gauss:
        whole.paste(small.convert("RGB"), (30, 40))
        whole.paste(gauss.convert("RGB"), (520, 300))
        path = tmp_path / "turned.png"
        whole.rotate(90, expand=True, fillcolor="white").save(path)
    read(page, path)
    page.get_by_role("button", name="Crop or rotate").click()
    page.get_by_role("button", name="Rotate right").click()
    canvas = page.locator("#crop-canvas")
    canvas.scroll_into_view_if_needed()
    where = canvas.bounding_box()
    assert where is not None
    assert where["width"] > where["height"]  # rotated
    page.mouse.move(where["x"] + where["width"] * 0.02, where["y"] + where["height"] * 0.05)
    page.mouse.down()
    page.mouse.move(where["x"] + where["width"] * 0.42, where["y"] + where["height"] * 0.4, steps=5)
    page.mouse.up()
    expect(page.locator("#crop-state")).to_contain_text("From 2 to 42 % across")
    assert violations(page) == []
    canvas.focus()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#crop-state")).to_contain_text("From 2 to 40 % across")
    page.get_by_role("button", name="Read this part").click()
    expect(page.locator(READ)).to_have_value(QUADRATIC, timeout=PATIENCE_MS)


def test_a_box_on_a_page_of_a_pdf(page: Page, tmp_path: Path) -> None:
    blank, sheet = (Image.new("RGB", (1240, 1754), "white") for _ in range(2))
    with Image.open(DEMO / "01-quadratic.png") as small:
        sheet.paste(small.convert("RGB"), (300, 400))
    path = tmp_path / "paper.pdf"
    blank.save(path, save_all=True, append_images=[sheet], resolution=150)
    page.set_input_files("#choose", path)
    expect(page.locator("#crop-page")).to_have_text("Page 1 of 2")
    expect(page.get_by_role("button", name="Previous page")).to_be_disabled()
    page.get_by_role("button", name="Next page").click()
    expect(page.locator("#crop-page")).to_have_text("Page 2 of 2")
    assert violations(page) == []
    where = page.locator("#crop-canvas").bounding_box()
    assert where is not None
    page.mouse.move(where["x"] + where["width"] * 0.2, where["y"] + where["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(where["x"] + where["width"] * 0.6, where["y"] + where["height"] * 0.3, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Read this part").click()
    expect(page.locator(READ)).to_have_value(QUADRATIC, timeout=PATIENCE_MS)


def test_a_pdf_that_is_damaged_is_one_sentence(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.4 and nothing else")
    page.set_input_files("#choose", path)
    expect(page.get_by_role("alert").first).to_contain_text("not a PDF", timeout=PATIENCE_MS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible(page: Page, theme: str) -> None:
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    assert violations(page) == []
    read(page, DEMO / "05-cauchy-schwarz.png")
    expect(page.locator(".rendered")).to_be_visible(timeout=PATIENCE_MS)
    assert violations(page) == []
    page.goto("/docs")
    expect(page.get_by_text("/v1/render").first).to_be_visible()
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    assert violations(page) == []
