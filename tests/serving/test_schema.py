import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from services import deploy, service

EXAMPLES = 30  # of each operation, as the schema has it and as it has it not

quick = settings(
    max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
)


@pytest.fixture
def running(released, tmp_path):
    deploy(released / "data/sentiment/release/bundle", tmp_path / "serving")
    with service(tmp_path, "--folder", "serving") as found:
        yield found


@pytest.mark.long
def test_nothing_that_the_schema_allows_or_forbids_makes_it_fail(running):
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 17
    statuses = set()
    for operation in operations:
        for mode in GenerationMode if operation.method == "post" else [GenerationMode.POSITIVE]:

            @quick
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case):
                if case.method == "POST":
                    case.path_parameters["line"] = "sentiment"
                answer = case.call()
                if answer.status_code != 504:  # a deadline of a millisecond may rightly pass
                    case.validate_response(answer, checks=[not_a_server_error])
                statuses.add(answer.status_code)

            ask()
    assert {200, 404, 422} <= statuses
    assert "unexpected" not in running.log
    assert "Exception" not in running.log
