"""Take the screenshots of the page in `docs/`, with a browser, a server and the example pictures.

    texlens serve &
    python tools/page_screenshots.py http://127.0.0.1:8000/ docs

Needs playwright and a Chromium (its own, or the system's as `chromium`).
"""

from __future__ import annotations

import shutil
import sys
from importlib import resources
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

DEMO = Path(str(resources.files("texlens") / "demo"))


def give(page: Page, *names: str) -> None:
    page.set_input_files("#choose", [DEMO / name for name in names])
    expect(page.locator(".rendered:not([hidden])")).to_have_count(len(names), timeout=60_000)
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # transitions


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a box in the picture that is open, between two points in parts of its sides."""
    expect(page.locator("#crop-canvas")).to_be_visible()
    where = page.locator("#crop-canvas").bounding_box()
    assert where is not None
    (x, y), (other_x, other_y) = (
        (where["x"] + where["width"] * across, where["y"] + where["height"] * down)
        for across, down in (start, end)
    )
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(other_x, other_y, steps=5)
    page.mouse.up()


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or playwright.chromium.executable_path
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 1130})
        page.goto(url)
        give(page, "04-faraday.png", "21-handwriting.jpg")
        page.screenshot(path=folder / "page_light.png")
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(500)
        page.screenshot(path=folder / "page_dark.png")
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Other readings").last.click()
        expect(page.locator(".alternatives input").first).to_be_focused(timeout=60_000)
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(500)
        page.locator(".card").last.screenshot(path=folder / "page_others.png")
        page.get_by_role("button", name="Crop or rotate").first.click()
        drag(page, (0.02, 0.1), (0.47, 0.9))
        page.wait_for_timeout(500)
        page.locator("#crop").screenshot(path=folder / "page_crop.png")

        context = browser.new_context(
            viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True
        )
        phone = context.new_page()
        phone.goto(url)
        give(phone, "21-handwriting.jpg")
        phone.screenshot(path=folder / "page_phone.png")
        browser.close()


if __name__ == "__main__":
    main()
