"""TensorBoard in a real browser: what its pages show, and pictures of them for the documents.

    python -m tests.callbacks.drive LOGDIR FOLDER

writes time_series.png, custom_scalars.png and hparams.png of the logs to the folder.
"""

import argparse
import contextlib
import inspect
import io
import itertools
import pathlib
import shutil
import urllib.parse

import numpy as np
import pytest
from PIL import Image

from tests.callbacks.servers import free_port, running

CHROMIUM, DRIVER = "chromium", "chromedriver"
OPTIONS = (
    *(
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
    ),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    *("--no-proxy-server", "--hide-scrollbars"),
)

# TensorBoard's elements are in shadow roots within shadow roots, where no selector of the page's looks.
SCRIPTS = """
const inner = node => [...(node.shadowRoot ? node.shadowRoot.childNodes : []), ...node.childNodes];
const walk = (node, found) => {
  if (node.matches && node.matches(arguments[0])) found.push(node);
  inner(node).forEach(child => walk(child, found));
  return found;
};
const text = node => node.nodeType == Node.TEXT_NODE ? node.data
  : ["STYLE", "SCRIPT", "TEMPLATE"].includes(node.nodeName) ? "" : inner(node).map(text).join(" ");
const elements = walk(arguments[1] || document.body, []);
"""


class Board:
    """A browser on a TensorBoard."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def open(self, page, width=1400, height=900, **query):
        """Opens `timeseries`, `custom_scalars` or `hparams` afresh, in a window of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/?{urllib.parse.urlencode(query)}#{page}")

    def find(self, css, within=None):
        """The elements that match, in the order of the page's source."""
        return self.driver.execute_script(SCRIPTS + "return elements", css, within)

    def texts(self, css, within=None):
        """What they say, also where one would have to scroll to it."""
        script = SCRIPTS + "return elements.map(text)"
        return [" ".join(found.split()) for found in self.driver.execute_script(script, css, within)]

    def rows(self, css):
        """What the cells of a table say, of each row, as they lie on the page."""
        script = SCRIPTS + "return elements.map(e => [e.getBoundingClientRect(), text(e).trim()])"
        cells = [
            (round(box["top"] + box["height"] / 2), box["left"], said)
            for box, said in self.driver.execute_script(script, css)
            if said
        ]
        return [
            [said for _, _, said in row] for _, row in itertools.groupby(sorted(cells), lambda cell: cell[0])
        ]

    def wait(self, condition, seconds=60):
        """The first answer of the condition that is true; until then the page is being made."""
        from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        waiting = WebDriverWait(
            self.driver, seconds, 0.1, ignored_exceptions=[StaleElementReferenceException]
        )
        try:
            return waiting.until(lambda driver: condition())
        except TimeoutException:
            said = " ".join(self.texts("body"))
            pytest.fail(f"not in {seconds} s: {inspect.getsource(condition).strip()}\nThe page says: {said}")

    def coloured(self, element):
        """The share of the element's columns that have a dot with a colour: those that a curve crosses."""
        dots = np.array(Image.open(io.BytesIO(element.screenshot_as_png)).convert("HSV"))
        return float(np.mean((dots[..., 1] > 60).any(axis=0)))


@contextlib.contextmanager
def board(log_dir):
    """TensorBoard on the logs, on loopback, and a browser on it; skips where there is none."""
    selenium = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install selenium")
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which(CHROMIUM), shutil.which(DRIVER)
    if program is None or driver is None:
        pytest.skip(f"needs {CHROMIUM} and {DRIVER}: apt-get install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for option in OPTIONS:
        options.add_argument(option)
    url = f"http://127.0.0.1:{free_port()}"
    log_dir = pathlib.Path(log_dir).absolute()
    # Its pages name the directory as they are told it: in a picture the whole path would be a nuisance.
    command = ["-m", "tensorboard.main", "--logdir", log_dir.name, "--load_fast=false"]
    command += ["--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    with running(command, f"{url}/data/runs", directory=log_dir.parent):
        browser = selenium.Chrome(options=options, service=Service(driver))
        try:
            yield Board(browser, url)
        finally:
            browser.quit()


def settled(board):
    """Pictures of the page until two in a row are the same; the last of them."""
    seen = [b""]

    def same():
        seen.append(board.driver.get_screenshot_as_png())
        return seen[-1] if seen[-1] == seen[-2] else None

    return board.wait(same)


def pictures(log_dir, folder):
    folder.mkdir(parents=True, exist_ok=True)
    with board(log_dir) as page:
        page.open("timeseries", smoothing=0, tagFilter="^(batch|epoch)/[^/]*$|learning_rate")
        page.wait(lambda: page.find("scalar-card canvas"))
        page.find("metrics-main-view-component button.settings-button")[0].click()  # its pane goes away
        (folder / "time_series.png").write_bytes(settled(page))
        page.open("custom_scalars&_smoothingWeight=0")
        page.wait(lambda: page.find("vz-line-chart2"))
        (folder / "custom_scalars.png").write_bytes(settled(page))
        page.open("hparams")
        page.wait(lambda: any(page.texts("vaadin-grid-cell-content")))
        (folder / "hparams.png").write_bytes(settled(page))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("log_dir", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    pictures(arguments.log_dir, arguments.folder)
