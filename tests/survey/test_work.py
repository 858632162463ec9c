"""What is wrong with one task is its record, whatever the moment it is found at."""

import pytest

from pxdask.core.config import SurveyConfig
from pxdask.io.catalog import read_catalog, rows
from pxdask.survey.manifest import Record
from pxdask.survey.plan import Task
from pxdask.survey.products import store_products
from pxdask.survey.tasks import run_task
from pxdask.survey.work import RunContext, plan_galaxy
from tests.survey.mini import BANDS, make_survey


@pytest.fixture
def planned(tmp_path):
    catalog, path = make_survey(tmp_path, 1)
    config = SurveyConfig.load(path)
    products = store_products(tmp_path / "run", config.models, BANDS.values())
    run = RunContext(tmp_path / "run", config, products, str(tmp_path))
    plan = plan_galaxy(next(rows(read_catalog(catalog))), run)
    for task in plan.missing[:5]:
        assert run_task(task, plan, run).outcome == "done"
    return run, plan


def spoil(path):
    """Change what the archive says of its own metadata, and leave its directory whole."""
    content = path.read_bytes()
    at = content.index(b'"node_type"')
    path.write_bytes(content[:at] + b"X" + content[at + 1 :])


def test_existing_bins_that_are_damaged_are_a_record(planned):
    run, plan = planned
    bins = Task(plan.galaxy_id, "bins", "", plan.keys.bins)
    assert run_task(bins, plan, run).n_bin > 0
    spoil(bins.path(run.root))
    record = run_task(bins, plan, run)
    assert (record.outcome, record.permanent) == ("failed", False)
    assert "it is removed" in record.error
    assert run_task(bins, plan, run).outcome == "done"


def test_what_waits_for_a_failure_is_blocked(planned):
    run, plan = planned
    fit = Task(plan.galaxy_id, "fit", "000000", plan.keys.fit)
    failed = Record(plan.galaxy_id, "bins", "", plan.keys.bins, "failed", error="no signal")
    assert run_task(fit, plan, run, [failed]).outcome == "blocked"
    assert not fit.path(run.root).exists()
