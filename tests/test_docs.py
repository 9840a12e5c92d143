"""Test that the examples of the documents run and that the documents name what exists."""

import ast
import importlib
import inspect
import re
from graphlib import TopologicalSorter
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_losses
import keras_losses.callbacks
from keras_losses import BoundaryLoss
from keras_losses.tools import catalogue
from tests.backends import thorough_on_jax, value, value_and_gradient
from tests.every_loss import LOSSES

ROOT = Path(__file__).parent.parent
needs_checkout = pytest.mark.skipif(
    not (ROOT / "keras_losses").exists(), reason="the sources are in the repository"
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (
    'pip install -e ".[examples]" && python examples/quickstart.py',
    'pip install -e ".[test]" && pytest',
)


def block(document: str, number: int = 0) -> str:
    """A Python example of a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)[number]


def test_the_readme_has_the_two_commands():
    assert all(f"```sh\n{command}\n```" in README for command in COMMANDS)


@pytest.mark.parametrize("family", sorted({loss.card.family for loss in catalogue.losses().values()}))
def test_a_family_has_its_files_and_its_title(family):
    """CONTRIBUTING sends authors to the files of the family."""
    assert family in catalogue.FAMILIES
    for folder in ("oracles", "cases"):
        assert (ROOT / "tests" / folder / f"{family}.py").exists()


@pytest.mark.parametrize("name", [n for n in keras_losses.__all__ if n not in ("Loss", "config")])
def test_the_readme_has_every_public_name(name):
    """A loss stands there as a link into docs/losses.md, any other name in the text."""
    if name in catalogue.losses():
        assert f"[`{name}`](docs/losses.md#{name.lower()})" in README
    else:
        assert f"`{name}`" in README


@pytest.mark.parametrize("name", keras_losses.callbacks.__all__)
def test_the_readme_has_every_callback(name):
    assert re.search(rf"`{name}[(`]", README)


@needs_checkout
def test_links_lead_to_what_exists():
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = document.read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            assert target.exists(), f"{document.name}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{document.name}: {link}"


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^\| `((?:keras_losses|callbacks)/[\w./]+)` \|", ARCHITECTURE, re.MULTILINE)
"""The rooms in the order of the page: a room imports only rooms before it."""


def source_files() -> dict[str, Path]:
    """Each module of the package with its file in the checkout."""
    files = {}
    for folder, package in (("keras_losses", "keras_losses"), ("callbacks", "keras_losses.callbacks")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            if (folder, parts[0]) != ("keras_losses", "callbacks"):
                files[".".join((package, *parts)).removesuffix(".__init__")] = path
    return files


def test_no_module_is_longer_than_a_reader_can_keep_in_mind():
    """CONTRIBUTING promises at most 600 lines."""
    folders = ("keras_losses", "callbacks", "tests", "examples", "benchmarks")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert {str(path) for path in paths if len(path.read_text(encoding="utf-8").splitlines()) > 600} == set()


def imports(module: str, files: dict[str, Path]) -> set[str]:
    """Modules of the package that a module imports, also inside of functions and by a string."""
    found = set()
    for node in ast.walk(ast.parse(files[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = []
            if node.level:
                parts = [*module.split("."), ""] if files[module].name == "__init__.py" else module.split(".")
                start = parts[: -node.level]
            base = ".".join(start + ([node.module] if node.module else []))
            for alias in node.names:
                found.add(f"{base}.{alias.name}" if f"{base}.{alias.name}" in files else base)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            found.add(node.value)
    return (found & set(files)) - {module}


def room(path: Path) -> str:
    """The room of a file: the first folder below the top one, or the file itself."""
    top, *rest = path.relative_to(ROOT).parts
    return f"{top}/{rest[0]}" if len(rest) == 1 else f"{top}/{rest[0]}/"


@needs_checkout
def test_the_page_on_architecture_names_every_room_and_only_what_exists():
    assert sorted(ROOMS) == sorted({room(path) for path in source_files().values()})
    for path in re.findall(r"`((?:keras_losses|callbacks|tests|examples|benchmarks)/[\w./]*)`", ARCHITECTURE):
        assert (ROOT / path).exists(), path


@needs_checkout
def test_imports_between_rooms_run_one_way():
    files = source_files()
    for module, path in files.items():
        for imported in imports(module, files):
            assert ROOMS.index(room(files[imported])) <= ROOMS.index(room(path)), (
                f"{module} imports {imported}"
            )


@needs_checkout
def test_no_module_imports_itself_in_a_circle():
    files = source_files()
    TopologicalSorter({module: imports(module, files) for module in files}).prepare()


def test_signatures_are_those_of_what_is_called():
    """The class takes hyper-parameters, the loss labels and predictions; tf.function and editors ask."""
    assert list(inspect.signature(keras_losses.HuberLoss).parameters) == [
        "delta",
        "name",
        "reduction",
        "dtype",
    ]
    called = inspect.signature(keras_losses.HuberLoss()).parameters
    assert list(called) == ["y_true", "y_pred", "sample_weight"]


@thorough_on_jax
def test_what_the_readme_says_of_the_focal_losses():
    """Logits [20, 0] with the second class true: 20 and a gradient near 1; Keras's own 4.03 and 0."""
    logits, true = np.array([[20.0, 0.0]], "float32"), np.array([[0.0, 1.0]], "float32")
    ours = value_and_gradient(keras_losses.FocalLoss(from_logits=True), true, logits)
    keras_own = value_and_gradient(keras.losses.CategoricalFocalCrossentropy(from_logits=True), true, logits)
    np.testing.assert_allclose(ours[0], 20.0, rtol=2e-6)
    np.testing.assert_allclose(ours[1], [[1.0, -1.0]], rtol=1e-6)
    np.testing.assert_allclose(keras_own[0], 4.03, atol=0.01)
    np.testing.assert_array_equal(keras_own[1], [[0.0, 0.0]])


@thorough_on_jax
def test_what_the_readme_says_of_weights_of_zero():
    """The first sample's 1 over two samples, whatever the prediction of the second one is."""
    samples = np.array([[1.0], [0.0]], "float32"), np.array([[0.0], [np.nan]], "float32")
    weights = np.array([1.0, 0.0], "float32")
    assert float(keras_losses.SquaredErrorLoss()(*samples, sample_weight=weights)) == 0.5
    assert np.isnan(float(keras.losses.MeanSquaredError()(*samples, sample_weight=weights)))


@pytest.mark.filterwarnings("ignore:`CosineDecay`. the schedule ends")
@thorough_on_jax
def test_the_examples_of_the_readme_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block("README.md").replace("epochs=10", "epochs=1"), names)
    printed = "['focal_loss', 'dice_loss']"
    assert capsys.readouterr().out == f"{printed}\n"
    assert f"It prints `{printed}`" in README
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "model.keras"}
    exec(block("README.md", 1), names)
    weights = names["model"].loss_terms.parameters()
    assert weights["weights/squared_error_loss"] == 0.25
    exec(block("README.md", 2), names)
    np.testing.assert_allclose(names["PowerLoss"](power=2.0)([[0.0]], [[3.0]]), 9.0, rtol=1e-6)


def test_the_examples_of_the_callbacks_run(monkeypatch, capsys):
    """All but the one that writes to a server."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    names = {"model": model, "x": np.ones((128, 2), "float32"), "y": np.ones((128, 1), "float32")}
    for number in (0, 1, 2, 4):
        exec(block("docs/callbacks.md", number), names)
    assert "valley" in capsys.readouterr().out
    rates = names["Hyperbola"](1.0, half=4).preview(5)
    np.testing.assert_allclose(rates, [1.0, 1 / 1.25, 1 / 1.5, 1 / 1.75, 0.5], rtol=1e-6)
    names["Printed"]().scalar("train", "epoch/loss", 0.25, 7, 0.0)
    assert capsys.readouterr().out == "     7 train      0.2500\n"


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_the_example_of_distance_maps_runs(tmp_path):
    """The pipeline's maps give the loss of the masks, also in a model that is loaded."""
    random = np.random.default_rng(0)
    names = {"images": random.random((4, 8, 8, 1)), "masks": random.integers(0, 3, (4, 8, 8))}
    exec(block("docs/images.md", 1).replace("epochs=5", "epochs=1, verbose=0"), names)
    names["model"].save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    found = model.evaluate(names["data"], return_dict=True, verbose=0)
    logits = model.predict(names["images"], verbose=0)["contour"]
    exact = value(BoundaryLoss(from_logits=True), names["masks"], logits)
    assert found["contour_loss"] == pytest.approx(float(exact), rel=1e-4)


def test_a_new_loss_costs_its_author_under_forty_lines():
    """And it is proved: tests/contract runs on it like on any other."""
    assert len(block("CONTRIBUTING.md").splitlines()) < 40
    assert LOSSES["PowerErrorLoss"].__module__ == "contributing_loss"


@thorough_on_jax
def test_doctests():
    """The examples in the docstrings, run on whichever backend this is."""
    import doctest
    import pkgutil

    names = [
        module.name
        for package in (keras_losses, keras_losses.callbacks)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert {name: result.failed for name, result in results.items() if result.failed} == {}
    assert sum(result.attempted for result in results.values()) > 20
