"""Steps of a log go on over epochs, and other loops do not disturb them."""

from __future__ import annotations

import pytest

from remote.log_steps import LogReader


def bar(step: int, total: int, described: str = "") -> str:
    return f"{described}{100 * step // total:3d}%|##   | {step}/{total} [00:01<00:09,  9.00it/s]\r"


def read(*texts: str, every: float = 2.0) -> list[tuple[int | None, int | None]]:
    """Step and last step after each text."""
    reader = LogReader()
    found = [reader.feed(text, number * every) for number, text in enumerate(texts)]
    return [(one.step, one.max_steps) for one in found]


def test_a_bar_of_an_evaluation_is_no_step() -> None:
    """transformers draws it without a word, between two steps and at the end."""
    texts = [bar(50, 400), bar(7, 10), bar(10, 10), bar(51, 400), bar(400, 400), bar(3, 10)]

    assert read(*texts) == [
        (50, 400),
        (None, None),
        (None, None),
        (51, 400),
        (400, 400),
        (None, None),
    ]


def test_a_second_training_is_followed_after_a_while() -> None:
    """At once when it is the larger one; else once nothing came of the first for two minutes."""
    assert read(bar(400, 400), bar(5, 900))[-1] == (5, 900)
    assert read(bar(400, 400), bar(5, 90))[-1] == (None, None)
    assert read(bar(400, 400), bar(5, 90), every=130.0)[-1] == (5, 90)


def test_a_bar_that_begins_again_is_another_epoch() -> None:
    """How many there will be is not known: neither is the last step."""
    assert read(bar(99, 100), bar(100, 100), bar(1, 100)) == [(99, 100), (100, 100), (101, None)]


def test_lightnings_epochs_are_counted_from_zero() -> None:
    """Steps of all epochs; the last one where the bar says how many there are."""
    four = bar(45, 100, "Epoch 3: ").replace("it/s", "it/s, v_num=0")
    rich = "Epoch 3/9  ━━━━━━━ 45/100 0:00:12 • 0:00:15 3.61it/s v_num: 0.000\n"

    assert read(bar(5, 100, "Epoch 0: "), four) == [(5, None), (345, None)]
    assert read(four) == [(345, None)]
    assert read(rich) == [(345, 1000)]


def test_keras_epochs_are_counted_from_one() -> None:
    """Their number stands in a line of its own."""
    keras = "{}/240 ━━━━━━━━━━ 3s 12ms/step - loss: 0.3\n"

    assert read(
        "Epoch 1/5\n" + keras.format(12),
        keras.format(240),
        "Epoch 2/5\n",
        keras.format(12),
    ) == [(12, 1200), (240, 1200), (None, None), (252, 1200)]


def test_words_that_count_on_are_not_added_up() -> None:
    """Only steps that fall when the epoch rises are those of an epoch."""
    on = read("epoch 1 | step 20\n", "epoch 2 | step 40\n")
    anew = read("epoch 1 | step 20\n", "epoch 2 | step 5\n", "epoch 3 | step 6\n")

    assert [step for step, _ in on] == [20, 40]
    assert [step for step, _ in anew][:2] == [20, 25]


def test_answered_requests_count_until_something_is_trained() -> None:
    """GRPO generates in each of its steps: those are the steps."""
    requests = "Processed prompts:  12%|#    | 12/100 [00:03<00:20,  4.00it/s]\r"

    assert read(requests, bar(3, 40), requests, bar(4, 40)) == [
        (12, 100),
        (3, 40),
        (None, None),
        (4, 40),
    ]


def test_the_last_step_may_stand_in_a_line_before() -> None:
    """Where the steps themselves come without it."""
    assert read("  Total optimization steps = 1,200\n", "step 12 loss 2.0\n")[-1] == (12, 1200)


def test_epochs_alone_are_steps_of_a_kind() -> None:
    """A bar over epochs, or their headlines, where nothing finer is told."""
    assert read(bar(1, 3, "Epoch: "), bar(2, 3, "Epochs: ")) == [(1, 3), (2, 3)]


@pytest.mark.parametrize("text", ["", "\r\n\r", "\x1b[A\x1b[A", "epoch\nEpoch 1/5 step\n" * 5])
def test_text_without_steps_has_none(text: str) -> None:
    """And changes nothing."""
    assert read(bar(5, 100), text)[-1] == (None, None)


def test_another_training_counts_its_epochs_anew() -> None:
    """Keras: a second `fit` begins at epoch 1 again."""
    keras = "{}/240 ━━━━━━━━━━ 3s 12ms/step - loss: 0.3\n"
    first = ["Epoch 1/2\n" + keras.format(240), "Epoch 2/2\n" + keras.format(240)]

    assert read(*first, "Epoch 1/2\n" + keras.format(7))[-1] == (7, 480)


def test_a_line_without_an_epoch_repeats_none() -> None:
    """What was told once is told once."""
    assert read(bar(1, 3, "Epoch: "), "saving\n") == [(1, 3), (None, None)]
