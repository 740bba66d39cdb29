import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from services import deploy, service

EXAMPLES = 50


@pytest.fixture(scope="module")
def described(released, tmp_path_factory):
    """The interface as a running service describes it."""
    work = tmp_path_factory.mktemp("work")
    deploy(released / "data/sentiment/release/bundle", work / "serving")
    with service(work, "--folder", "serving") as running:
        yield schemathesis.openapi.from_url(f"{running.url}/openapi.json")
        assert "unexpected" not in running.log


schema = schemathesis.pytest.from_fixture("described")


@pytest.mark.long
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_nothing_that_the_schema_allows_or_forbids_makes_it_fail(case):
    if "line" in case.path_parameters and case.method == "POST":
        case.path_parameters["line"] = "sentiment"
    case.call_and_validate(checks=[not_a_server_error])
