"""The parts of ministack that the endpoint replaces: a new version that means something else fails here."""

from __future__ import annotations

import importlib.metadata
import inspect
import threading
import time

from ministack import app
from ministack.services import (
    apigateway,
    cloudwatch,
    cloudwatch_logs,
    dynamodb,
    dynamodb_streams,
    eventbridge,
    kinesis,
    kms,
    lambda_svc,
    secretsmanager,
    ses,
    sns,
    sqs,
    ssm,
    stepfunctions,
)


def parameters(function) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_version_is_the_one_that_was_read():
    assert importlib.metadata.version("ministack") == "1.5.33"


def test_functions_are_dispatched_where_ours_are_run():
    dispatch = ["func", "config", "event", "request_id", "started"]
    assert parameters(lambda_svc._execute_function_dispatch) == dispatch
    assert f"_execute_function_dispatch({', '.join(dispatch)})" in inspect.getsource(lambda_svc._execute_function)


def test_a_page_of_a_stream_is_measured_by_this():
    assert parameters(dynamodb_streams._cap_page_bytes) == ["page"]
    assert dynamodb_streams._GET_RECORDS_MAX_BYTES == 1024 * 1024
    assert "page = _cap_page_bytes(page)" in inspect.getsource(dynamodb_streams._get_records)


def test_a_message_with_attributes_is_published_by_this():
    given = parameters(sns._fanout)
    assert given[:4] == ["topic_arn", "msg_id", "message", "subject"]
    assert "message_attributes" in given


def test_keys_secrets_and_parameters_are_found_by_these():
    assert kms._resolve_key("alias/none") is None
    assert kms.key_policy_for_arn("arn:aws:kms:us-east-1:111122223333:key/none") is None
    assert 'rec["KeyId"].encode() + ctx_hash' in inspect.getsource(kms._encrypt)
    assert secretsmanager._resolve("none") == (None, None)
    assert list(ssm._parameters) == []
    assert '"KeyId": key_id' in inspect.getsource(ssm._put_parameter)


def test_its_function_metrics_come_from_one_place():
    assert parameters(lambda_svc._emit_lambda_metrics) == ["function_name", "duration_ms", "error", "throttle"]


def test_its_logs_are_written_where_ours_are():
    assert list(cloudwatch_logs._log_groups) == []
    assert parameters(cloudwatch_logs._create_log_group) == parameters(cloudwatch_logs._create_log_stream) == ["data"]
    assert parameters(cloudwatch_logs._append_log_events) == ["stream", "events"]


def test_tables_and_streams_read_the_clock_from_their_module():
    assert dynamodb.time is time
    assert dynamodb_streams.time is time
    assert '"ApproximateCreationDateTime": int(time.time())' in inspect.getsource(dynamodb)


def test_topics_and_rules_read_the_clock_of_their_messages_from_their_module():
    assert sns.time is time
    assert eventbridge.time is time
    for module, make in ((sns, sns._deliver_to_sqs), (eventbridge, eventbridge._dispatch_to_sqs)):
        assert '"sent_at": now' in inspect.getsource(make), module


def test_a_request_to_an_api_destination_is_put_together_by_these():
    assert parameters(eventbridge._build_api_destination_request) == ["dest", "conn", "target_http_params", "payload"]
    assert parameters(eventbridge._connection_auth_headers)[:2] == ["conn", "token_key"]
    headers = eventbridge._finalize_api_dest_headers({"x-key": "secret", "host": "elsewhere"})
    assert headers["x-key"] == "secret"
    assert "host" not in headers
    assert eventbridge._api_destinations.get("nobody") is eventbridge._connections.get("nobody") is None


def test_a_request_to_an_http_api_is_resolved_by_these():
    assert app._parse_execute_api_url("127.0.0.1:1", "/_aws/execute-api/a1/users/u1") == ("a1", "users", "/u1")
    assert parameters(app._resolve_stage_and_path) == ["api_id", "tentative_stage", "execute_path"]
    assert parameters(apigateway.route_authorization_type) == ["api_id", "stage", "method", "path"]


def test_sent_mails_are_kept_in_lists():
    assert ses._sent_emails.to_dict() == {}
    assert 'setdefault("entries", [])' in inspect.getsource(ses) or '_sent_emails["entries"]' in inspect.getsource(ses)


def test_every_stream_record_is_built_in_one_place_and_settings_alone_make_the_reaper_delete():
    assert parameters(dynamodb._build_change_record) == ["table", "event_name", "old_item", "new_item", "view_type"]
    assert "_ttl_settings.all_items()" in inspect.getsource(dynamodb._ttl_reaper)


def test_queues_read_the_clock_from_their_module_and_tell_of_messages_through_one_name():
    assert sqs.time is time
    for module in (sqs, sns, eventbridge):
        assert isinstance(module.esm_wake, threading.Event)
    assert "esm_wake.set()" in inspect.getsource(sqs._act_send_message)


def test_a_tables_stream_is_described_listed_and_labelled_by_these():
    assert parameters(dynamodb._table_description) == ["name"]
    assert "_table_description(name)" in inspect.getsource(dynamodb._describe_table)
    assert "_stream_label()" in inspect.getsource(dynamodb._update_table)
    assert "_closed_streams[arn] = {" in inspect.getsource(dynamodb.drop_stream_records)
    assert list(dynamodb._closed_streams.all_items()) == []
    assert parameters(dynamodb_streams._enabled_stream_info)[0] == "table_name"


def test_every_change_of_an_item_is_told_in_one_place():
    assert parameters(dynamodb._emit_stream_event)[:4] == ["table_name", "event_name", "old_item", "new_item"]
    assert 'event_name == "MODIFY" and old_item == new_item' in inspect.getsource(dynamodb._emit_stream_event)
    enable = inspect.getsource(dynamodb._enable_kinesis_streaming_destination)
    assert '"ApproximateCreationDateTimePrecision": precision' in enable


def test_own_calls_reach_services_and_functions_by_these():
    for service in (dynamodb, dynamodb_streams, kinesis, sqs):
        assert parameters(service.handle_request) == ["method", "path", "headers", "body", "query_params"]
        assert inspect.iscoroutinefunction(service.handle_request)
    assert parameters(lambda_svc._invoke) == ["name", "event", "headers", "path_qualifier", "query_params"]
    assert inspect.iscoroutinefunction(lambda_svc._invoke)


def test_the_writes_of_a_transaction_are_made_by_one_function():
    assert parameters(dynamodb._transact_write_items) == ["data"]
    assert '"TransactWriteItems": _transact_write_items' in inspect.getsource(dynamodb.handle_request)
    assert not inspect.iscoroutinefunction(dynamodb._transact_write_items)


def test_an_iterator_of_a_stream_says_of_which_stream_and_shard():
    made = dynamodb_streams._encode_iterator("users", "shard", 3, account_id="1", region="r", stream_arn="arn")
    read = dynamodb_streams._decode_iterator(made)
    assert (read["arn"], read["s"]) == ("arn", "shard")
    assert dynamodb_streams._decode_iterator("nonsense") is None


def test_metric_alarms_are_evaluated_in_one_place_and_kept_by_name():
    assert parameters(cloudwatch._evaluate_alarm) == ["alarm"]
    assert "_alarms[name] = alarm" in inspect.getsource(cloudwatch._put_metric_alarm)
    assert "_evaluate_parent_alarms(alarm)" in inspect.getsource(cloudwatch._set_alarm_state)


def test_executions_walk_wait_fail_and_call_through_these():
    assert parameters(stepfunctions._run_execution) == ["exec_arn"]
    assert parameters(stepfunctions._fail_execution) == ["execution", "error", "cause"]
    assert parameters(stepfunctions._invoke_resource) == ["resource", "input_data"]
    assert parameters(stepfunctions._invoke_with_callback) == ["resource", "input_data", "token", "state_def"]
    assert parameters(stepfunctions._scaled_sleep) == ["seconds"]
    assert parameters(stepfunctions._sleep_until) == ["iso_ts"]
    assert parameters(stepfunctions._error_matches) == ["error_equals", "error"]
    assert parameters(stepfunctions._ExecutionError) == ["error", "cause"]
    assert 'while current_name and execution["status"] == "RUNNING"' in inspect.getsource(stepfunctions._run_execution)


def test_matches_of_rules_and_requests_to_targets_go_through_these():
    assert parameters(eventbridge._invoke_target) == ["target", "event", "rule", "view"]
    assert parameters(eventbridge._dispatch_to_sqs)[:2] == ["spec", "payload"]
    assert parameters(eventbridge._dispatch_to_api_destination) == ["spec", "payload", "target"]
    assert parameters(eventbridge._connection_auth_headers) == ["conn", "token_key", "force_refresh"]
    assert 'archive.setdefault("Events", []).append(event)' in inspect.getsource(eventbridge._archive_event)
