"""Saved models: whole or not at all, and nothing half-written stays."""

from pathlib import Path
from types import SimpleNamespace

from epymarl_lite.models import save_models


def test_what_a_killed_process_left_half_written_goes_with_the_next_save(tmp_path):
    models = tmp_path / "models"
    half = models / ".320.4711"
    half.mkdir(parents=True)
    (half / "agent.th").write_bytes(b"ha")
    learner = SimpleNamespace(save_models=lambda path: Path(path, "agent.th").write_bytes(b"whole"))
    save_models(learner, models, 320)
    assert [path.name for path in models.iterdir()] == ["320"]
    assert (models / "320" / "agent.th").read_bytes() == b"whole"
