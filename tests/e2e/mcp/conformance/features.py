"""What the server of the conformance tests can do: its tools, resources and prompts.

The suite asks for each of them by name and says what it must answer. How a message travels is not
known here: a tool gets a `Turn` to talk with its client.
"""

import hashlib
import hmac
import json
import os
import time

IMAGE = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5E"
         "rkJggg==")
SOUND = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
SECRET = os.urandom(32)
META = "io.modelcontextprotocol/"


class Refused(Exception):
    """An error of JSON-RPC, and the HTTP status that goes with it."""

    def __init__(self, code, message, data=None, status=200):
        super().__init__(message)
        self.status = status
        self.error = {"code": code, "message": message}
        if data is not None:
            self.error["data"] = data


def text(what):
    return {"type": "text", "text": what}


def said(*content):
    return {"content": list(content)}


def resource(uri, kind, body):
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": body}}


def image():
    return {"type": "image", "data": IMAGE, "mimeType": "image/png"}


def form(properties, required=()):
    return {"type": "object", "properties": properties, "required": list(required)}


def elicit(message, schema):
    return {"method": "elicitation/create",
            "params": {"message": message, "requestedSchema": schema}}


def sample(prompt):
    return {"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": text(prompt)}], "maxTokens": 100}}


# Tools that answer at once.

def simple(_turn, _given):
    return said(text("This is a simple text response for testing."))


def an_image(_turn, _given):
    return said(image())


def a_sound(_turn, _given):
    return said({"type": "audio", "data": SOUND, "mimeType": "audio/wav"})


def embedded(_turn, _given):
    return said(resource("test://embedded-resource", "text/plain",
                         "This is an embedded resource content."))


def mixed(_turn, _given):
    return said(text("Multiple content types test:"), image(),
                resource("test://mixed-content-resource", "application/json",
                         '{"test":"data","value":123}'))


def failing(_turn, _given):
    return {"isError": True,
            **said(text("This tool intentionally returns an error for testing"))}


def custom_headers(_turn, given):
    return said(text(f"region {given.get('region')}"))


def by_schema(_turn, given):
    return said(text(f"JSON Schema 2020-12 tool called with: {json.dumps(given)}"))


# Tools that talk with the client while they work.

def logging(turn, _given):
    for what in ["Tool execution started", "Tool processing data", "Tool execution completed"]:
        turn.notify("notifications/message", {"level": "info", "data": what})
        time.sleep(0.05)
    return said(text("Tool with logging executed successfully"))


def progress(turn, _given):
    for done in (0, 50, 100):
        if turn.token is not None:
            turn.notify("notifications/progress", {
                "progressToken": turn.token, "progress": done, "total": 100,
                "message": f"Completed step {done} of 100"})
        time.sleep(0.05)
    return said(text(str(turn.token)))


def reconnection(turn, _given):
    turn.hang_up()
    time.sleep(0.1)
    return said(text("Reconnection test completed successfully."))


def sampling(turn, given):
    answer = turn.ask(**sample(given.get("prompt", "")))
    return said(text(f"LLM response: {answer['content']['text']}"))


def elicited(turn, message, schema, what):
    answer = turn.ask(**elicit(message, schema))
    content = json.dumps(answer.get("content", {}), separators=(",", ":"))
    return said(text(f"{what}: action={answer['action']}, content={content}"))


def elicitation(turn, given):
    schema = form({"response": {"type": "string", "description": "User's response"}}, ["response"])
    return elicited(turn, given.get("message", ""), schema, "User response")


def defaults(turn, _given):
    schema = form({
        "name": {"type": "string", "description": "User name", "default": "John Doe"},
        "age": {"type": "integer", "description": "User age", "default": 30},
        "score": {"type": "number", "description": "User score", "default": 95.5},
        "status": {"type": "string", "description": "User status",
                   "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "description": "Verification status", "default": True}})
    return elicited(turn, "Please review the form", schema, "Elicitation completed")


def enums(turn, _given):
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
    schema = form({
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
                       "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "minItems": 1, "maxItems": 3,
                          "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "minItems": 1, "maxItems": 3,
                        "items": {"anyOf": titled}}})
    return elicited(turn, "Please select options", schema, "Elicitation completed")


def streaming(turn, _given):
    turn.notify("notifications/progress", {
        "progressToken": turn.token or "none", "progress": 50, "total": 100})
    return said(text("Streaming complete"))


def log_level(turn, _given):
    if META + "logLevel" in turn.meta:
        turn.notify("notifications/message", {"level": "info", "data": "Logging is on"})
    return said(text("Logging evaluated"))


def missing_capability(turn, _given):
    if "sampling" not in turn.capabilities:
        raise Refused(-32021, "a client capability is missing",
                      {"requiredCapabilities": {"sampling": {}}}, status=400)
    return said(text("Success"))


def tools_change(turn, _given):
    turn.announce("toolsListChanged", "notifications/tools/list_changed")
    return said(text("Mutation triggered"))


def prompts_change(turn, _given):
    turn.announce("promptsListChanged", "notifications/prompts/list_changed")
    return said(text("Mutation triggered"))


# Tools that want to be called again with what a person entered (2026-07-28).

NAME = form({"name": {"type": "string"}}, ["name"])
CONFIRM = form({"ok": {"type": "boolean"}}, ["ok"])


def wanted(requests, state=None):
    result = {"resultType": "input_required", "inputRequests": requests}
    if state is not None:
        body = json.dumps(state)
        tag = hmac.new(SECRET, body.encode(), hashlib.sha256).hexdigest()
        result["requestState"] = json.dumps({"state": body, "tag": tag})
    return result


def state_of(turn):
    """Reads the state that the client carries; what it changed is refused."""
    if turn.state is None:
        return None
    try:
        carried = json.loads(turn.state)
        tag = hmac.new(SECRET, carried["state"].encode(), hashlib.sha256).hexdigest()
        if hmac.compare_digest(tag, carried["tag"]):
            return json.loads(carried["state"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Refused(-32602, "the state is not one of ours")


def entered(turn, key, field):
    answer = turn.inputs.get(key)
    content = answer.get("content") if isinstance(answer, dict) else None
    value = content.get(field) if isinstance(content, dict) else None
    return value if isinstance(value, (str, bool)) else None


def wants_name(turn, _given):
    name = entered(turn, "user_name", "name")
    if name is None:
        return wanted({"user_name": elicit("What is your name?", NAME)})
    return said(text(f"Hello, {name}!"))


def wants_sample(turn, _given):
    answer = turn.inputs.get("sample_request")
    if not answer:
        return wanted({"sample_request": sample("What is the capital of France?")})
    return said(text(f"Sampling result: {answer['content']['text']}"))


def wants_roots(turn, _given):
    answer = turn.inputs.get("roots_request")
    if not answer:
        return wanted({"roots_request": {"method": "roots/list", "params": {}}})
    return said(text(f"Found {len(answer['roots'])} root(s)"))


def wants_state(turn, _given):
    if state_of(turn) == "request-state" and entered(turn, "confirm", "ok") is True:
        return said(text("state-ok: requestState validated"))
    return wanted({"confirm": elicit("Please confirm", CONFIRM)}, "request-state")


def wants_integrity(turn, _given):
    if state_of(turn) == "tamper-test" and "confirm" in turn.inputs:
        return said(text("integrity-ok: state verified"))
    return wanted({"confirm": elicit("Please confirm", CONFIRM)}, "tamper-test")


def wants_several(turn, _given):
    name = entered(turn, "user_name", "name")
    greeting, roots = turn.inputs.get("greeting"), turn.inputs.get("client_roots")
    if state_of(turn) == "several" and name and greeting and roots:
        return said(text(f"Name: {name}; Greeting: {greeting['content']['text']}; "
                         f"Roots: {len(roots['roots'])}"))
    return wanted({"user_name": elicit("What is your name?", NAME),
                   "greeting": sample("Generate a greeting"),
                   "client_roots": {"method": "roots/list", "params": {}}}, "several")


def wants_rounds(turn, _given):
    state = state_of(turn) or {}
    if state.get("round") == 1 and entered(turn, "step1", "name"):
        color = form({"color": {"type": "string"}}, ["color"])
        return wanted({"step2": elicit("Step 2: What is your favorite color?", color)},
                      {"round": 2, "name": entered(turn, "step1", "name")})
    if state.get("round") == 2 and entered(turn, "step2", "color"):
        return said(text(f"Multi-round complete for {state['name']} who likes "
                         f"{entered(turn, 'step2', 'color')}"))
    return wanted({"step1": elicit("Step 1: What is your name?", NAME)}, {"round": 1})


def wants_capabilities(turn, _given):
    if turn.inputs:
        return said(text(f"capabilities-ok: received {','.join(turn.inputs)}"))
    requests = {}
    if "elicitation" in turn.capabilities:
        value = form({"value": {"type": "string"}}, ["value"])
        requests["elicit_input"] = elicit("Elicitation input", value)
    if "sampling" in turn.capabilities:
        requests["sample_input"] = sample("Sample request")
    return wanted(requests, "capabilities") if requests else said(text("none declared"))


NOTHING = {"type": "object", "properties": {}}
SCHEMA_2020 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {
        "street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {
        "name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"}, "email": {"type": "string"}},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]}, "else": {"required": ["email"]},
    "additionalProperties": False}
HEADERS = form({"region": {"type": "string", "x-mcp-header": "Region"},
                "count": {"type": "integer", "x-mcp-header": "Count"}}, ["region"])

# Name → function, schema.
TOOLS = {
    "test_simple_text": (simple, NOTHING),
    "test_image_content": (an_image, NOTHING),
    "test_audio_content": (a_sound, NOTHING),
    "test_embedded_resource": (embedded, NOTHING),
    "test_multiple_content_types": (mixed, NOTHING),
    "test_error_handling": (failing, NOTHING),
    "json_schema_2020_12_tool": (by_schema, SCHEMA_2020),
    "test_tool_with_logging": (logging, NOTHING),
    "test_tool_with_progress": (progress, NOTHING),
    "test_reconnection": (reconnection, NOTHING),
    "test_sampling": (sampling, form({"prompt": {"type": "string"}}, ["prompt"])),
    "test_elicitation": (elicitation, form({"message": {"type": "string"}}, ["message"])),
    "test_elicitation_sep1034_defaults": (defaults, NOTHING),
    "test_elicitation_sep1330_enums": (enums, NOTHING),
    "test_custom_headers": (custom_headers, HEADERS),
    "test_streaming_elicitation": (streaming, NOTHING),
    "test_logging_tool": (log_level, NOTHING),
    "test_missing_capability": (missing_capability, NOTHING),
    "test_trigger_tool_change": (tools_change, NOTHING),
    "test_trigger_prompt_change": (prompts_change, NOTHING),
    "test_input_required_result_elicitation": (wants_name, NOTHING),
    "test_input_required_result_sampling": (wants_sample, NOTHING),
    "test_input_required_result_list_roots": (wants_roots, NOTHING),
    "test_input_required_result_request_state": (wants_state, NOTHING),
    "test_input_required_result_multiple_inputs": (wants_several, NOTHING),
    "test_input_required_result_multi_round": (wants_rounds, NOTHING),
    "test_input_required_result_tampered_state": (wants_integrity, NOTHING),
    "test_input_required_result_capabilities": (wants_capabilities, NOTHING),
}

RESOURCES = {
    "test://static-text": ("text/plain", "This is the content of the static text resource."),
    "test://static-binary": ("image/png", None),
    "test://watched-resource": ("text/plain", "Watched resource content"),
}

PROMPTS = {
    "test_simple_prompt": [],
    "test_prompt_with_arguments": ["arg1", "arg2"],
    "test_prompt_with_embedded_resource": ["resourceUri"],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}


def tools_list(_turn):
    return {"tools": [{"name": name, "description": f"Tests {name}", "inputSchema": schema}
                      for name, (_, schema) in TOOLS.items()]}


def tools_call(turn):
    tool = TOOLS.get(turn.params.get("name"))
    if tool is None:
        raise Refused(-32602, "there is no such tool")
    return tool[0](turn, turn.params.get("arguments") or {})


def resources_list(_turn):
    return {"resources": [{"uri": uri, "name": uri, "mimeType": kind}
                          for uri, (kind, _) in RESOURCES.items()]}


def templates_list(_turn):
    return {"resourceTemplates": [{"uriTemplate": "test://template/{id}/data",
                                   "name": "template", "mimeType": "application/json"}]}


def resources_read(turn):
    uri = turn.params.get("uri", "")
    if uri.startswith("test://template/") and uri.endswith("/data"):
        key = uri.split("/")[3]
        body = json.dumps({"id": key, "templateTest": True, "data": f"Data for ID: {key}"})
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": body}]}
    if uri not in RESOURCES:
        raise Refused(-32602 if turn.is_stateless else -32002, "no such resource", {"uri": uri})
    kind, body = RESOURCES[uri]
    content = {"text": body} if body is not None else {"blob": IMAGE}
    return {"contents": [{"uri": uri, "mimeType": kind, **content}]}


def prompts_list(_turn):
    return {"prompts": [{"name": name, "description": f"Tests {name}", "arguments": [
        {"name": argument, "required": True} for argument in arguments]}
        for name, arguments in PROMPTS.items()]}


def prompts_get(turn):
    name, given = turn.params.get("name"), turn.params.get("arguments") or {}
    if name == "test_input_required_result_prompt":
        context = entered(turn, "user_context", "context")
        if context is None:
            schema = form({"context": {"type": "string"}}, ["context"])
            question = elicit("What context should the prompt use?", schema)
            return wanted({"user_context": question})
        contents = [text(f"Prompt with context: {context}")]
    elif name == "test_simple_prompt":
        contents = [text("This is a simple prompt for testing.")]
    elif name == "test_prompt_with_arguments":
        contents = [text(f"Prompt with arguments: arg1='{given.get('arg1')}', "
                         f"arg2='{given.get('arg2')}'")]
    elif name == "test_prompt_with_embedded_resource":
        contents = [resource(given.get("resourceUri"), "text/plain",
                             "Embedded resource content for testing."),
                    text("Please process the embedded resource above.")]
    elif name == "test_prompt_with_image":
        contents = [image(), text("Please analyze the image above.")]
    else:
        raise Refused(-32602, "there is no such prompt")
    return {"messages": [{"role": "user", "content": content} for content in contents]}


def complete(_turn):
    return {"completion": {"values": ["one", "two"], "total": 2, "hasMore": False}}


def nothing(_turn):
    return {}


# Methods of every revision, and those that the stateless one has no more.
METHODS = {
    "tools/list": tools_list, "tools/call": tools_call,
    "resources/list": resources_list, "resources/templates/list": templates_list,
    "resources/read": resources_read,
    "prompts/list": prompts_list, "prompts/get": prompts_get,
    "completion/complete": complete,
}
LEGACY = {"ping": nothing, "logging/setLevel": nothing,
          "resources/subscribe": nothing, "resources/unsubscribe": nothing}
CACHED = {"server/discover", "tools/list", "prompts/list", "resources/list",
          "resources/templates/list", "resources/read"}
