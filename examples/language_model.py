"""Train a small language model with VocabularyCrossentropy, without keeping its logits in memory.

    python examples/language_model.py [--output DIR] [--epochs N] [--seeds N]

The text ships with Python: the documentation strings of half of its standard library, as words and signs. A
small network of dilated causal convolutions predicts each word from those before it. Input and output words
share one table of vectors. The logs of `fit` hold perplexity and accuracy on unseen modules, which are
compared with a baseline that knows only the frequency of each word. Finally the model writes a few lines.
"""

import ast
import re
import sysconfig
from collections import Counter
from pathlib import Path

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from keras_losses import VocabularyCrossentropy, VocabularyEmbedding

LENGTH, WIDTH, DILATIONS = 64, 64, (1, 2, 4, 8)
PADDING, UNKNOWN, END = "", "<rare>", "<end>"
WORDS = 4096
HELD_OUT = 8
"""One module in this many is held out."""
BATCH = 32
PROMPT = ["Return", "the"]


def documentation() -> list[list[str]]:
    """Words of the documentation strings of the standard library, one list for each module."""
    folder, found = Path(sysconfig.get_paths()["stdlib"]), []
    skipped = {"test", "tests", "idlelib", "site-packages", "lib2to3", "encodings", "turtledemo"}
    for path in sorted(folder.rglob("*.py")):
        if skipped & set(path.relative_to(folder).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        texts = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented))
        words = [word for text in texts if text for word in (*split(text), END)]
        if words:
            found.append(words)
    return found


def split(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+(?:'[a-z]+)?|\d+|_+|\n|[^\w\s]", text)


def batches(modules: list[list[int]]) -> np.ndarray:
    """Rows of LENGTH + 1 ids; the last row of a module is padded."""
    rows = []
    for ids in modules:
        for start in range(0, len(ids) - 1, LENGTH):
            row = ids[start : start + LENGTH + 1]
            rows.append(row + [0] * (LENGTH + 1 - len(row)))
    return np.array(rows, "int32")


def build_model(words: int) -> keras.Model:
    """Build a network that predicts every next word."""
    ids = keras.Input((None,), dtype="int32")
    embedding = VocabularyEmbedding(words, WIDTH)
    hidden = embedding(ids)
    for dilation in DILATIONS:
        more = keras.layers.LayerNormalization()(hidden)
        more = keras.layers.Conv1D(2 * WIDTH, 3, padding="causal", dilation_rate=dilation, activation="gelu")(
            more
        )
        more = keras.layers.Dense(WIDTH)(keras.layers.Dropout(0.1)(more))
        hidden = keras.layers.Add()([hidden, more])
    hidden = keras.layers.LayerNormalization()(hidden)
    return keras.Model(ids, embedding(hidden, reverse=True))


def unigrams(train: np.ndarray, test: np.ndarray, words: int) -> tuple[float, float]:
    """Perplexity and accuracy of word frequencies, with one added to every count."""
    count = np.bincount(train[:, 1:].ravel(), minlength=words)[1:] + 1.0
    targets = test[:, 1:][test[:, 1:] != 0] - 1
    return float(np.exp(-np.log(count / count.sum())[targets].mean())), float(
        (targets == count.argmax()).mean()
    )


def written(model: keras.Model, vocabulary: list[str], count: int, seed: int) -> str:
    """Text that the model writes, each word drawn from the most likely ones."""
    rng, known = np.random.default_rng(seed), {word: number for number, word in enumerate(vocabulary)}
    ids = [known[word] for word in (END, *PROMPT)]
    for _ in range(count):
        given = ids[-LENGTH:]
        row = np.array([given + [0] * (LENGTH - len(given))], "int32")
        logits = np.array(model.predict_on_batch(row))[0, len(given) - 1].astype("float64") / 0.8
        logits[[0, known[UNKNOWN]]] = -np.inf
        best = np.argsort(logits)[-40:]
        chances = np.exp(logits[best] - logits[best].max())
        ids.append(int(rng.choice(best, p=chances / chances.sum())))
    text = " ".join("\n" if vocabulary[k] in (END, "\n") else vocabulary[k] for k in ids[1:])
    text = re.sub(r" ?\n ?", "\n", re.sub(r" ([.,;:)\]'])", r"\1", text))
    return re.sub(r"([(\[']) ", r"\1", re.sub(r"\n{2,}", "\n", text)).strip()


def plot(runs: list[dict[str, list[float]]], baseline: tuple[float, float], path: Path) -> None:
    """Plot perplexity and accuracy on held-out modules over the epochs, a line for each seed."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6))
    for panel, name, level in zip(panels, ("perplexity", "token_accuracy"), baseline, strict=True):
        for turn, run in enumerate(runs):
            steps = np.arange(1, len(run["loss"]) + 1)
            label = {"label": "held-out modules"} if turn == 0 else {}
            panel.plot(steps, run[f"val_{name}"], color="tab:blue", marker="o", markersize=3, **label)
            label = {"label": "training"} if turn == 0 else {}
            panel.plot(steps, run[name], color="tab:blue", linestyle=":", alpha=0.7, **label)
        panel.axhline(level, color="tab:gray", linestyle="--", label="frequency of words")
        panel.set(xlabel="epoch", ylabel=name.replace("_", " "))
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    panels[0].set_yscale("log")
    for axis in ("major", "minor"):
        getattr(panels[0].yaxis, f"set_{axis}_formatter")("{x:g}")
    panels[1].set_ylim(bottom=0)
    panels[0].legend(frameon=False)
    figure.tight_layout()
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "language_model", epochs=6, seeds=1)
    console = Console()

    modules = documentation()[::2]
    counts = Counter(word for turn, module in enumerate(modules) if turn % HELD_OUT for word in module)
    frequent = [word for word, _ in counts.most_common(WORDS - 3) if word != END]
    vocabulary = [PADDING, UNKNOWN, END, *frequent]
    known = {word: number for number, word in enumerate(vocabulary)}
    ids = [[known.get(word, known[UNKNOWN]) for word in module] for module in modules]
    train = batches([each for turn, each in enumerate(ids) if turn % HELD_OUT])
    test = batches([each for turn, each in enumerate(ids) if not turn % HELD_OUT])
    baseline = unigrams(train, test, len(vocabulary))
    words, held_out = (int((rows[:, 1:] != 0).sum()) for rows in (train, test))
    console.print(f"{words:,} words to train on, {held_out:,} held out, {len(vocabulary):,} different")

    runs: list[dict[str, list[float]]] = []
    with Progress(console=console) as progress:
        task = progress.add_task("training", total=arguments.seeds * arguments.epochs)
        tick = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: progress.advance(task))
        for seed in range(arguments.seeds):
            keras.utils.set_random_seed(seed)
            model = build_model(len(vocabulary))
            # Padding has weight 0.
            loss = VocabularyCrossentropy(z_loss=1e-4, ignore_class=0)
            model.compile(keras.optimizers.AdamW(3e-3), loss=loss)
            history = model.fit(
                train[:, :-1],
                train[:, 1:],
                validation_data=(test[:, :-1], test[:, 1:]),
                batch_size=BATCH,
                epochs=arguments.epochs,
                callbacks=[tick],
                verbose=0,
            )
            runs.append(history.history)

    table = Table(
        title=f"On held-out modules, mean over {arguments.seeds} seeds", box=None, padding=(0, 2, 0, 0)
    )
    for name in ("epoch", "perplexity", "token accuracy"):
        table.add_column(name, justify="right")
    table.add_row("frequency of words", f"{baseline[0]:.1f}", f"{baseline[1]:.1%}")
    for epoch in range(arguments.epochs):
        perplexity, accuracy = (
            float(np.mean([run[f"val_{name}"][epoch] for run in runs]))
            for name in ("perplexity", "token_accuracy")
        )
        table.add_row(str(epoch + 1), f"{perplexity:.1f}", f"{accuracy:.1%}")
    console.print(table)
    sample = written(model, vocabulary, 80, seed=0)
    (arguments.output / "sample.txt").write_text(sample + "\n", encoding="utf-8")
    console.print("\nIt writes:\n", style="bold")
    console.print(sample, markup=False, highlight=False)
    plot(runs, baseline, arguments.output / "language_model.png")


if __name__ == "__main__":
    main()
