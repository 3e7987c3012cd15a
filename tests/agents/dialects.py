"""The four wire formats that fake_llm.py speaks: what a request holds, how errors look, how a reply is streamed."""

import itertools
import json
import time

IDS = itertools.count(1)


def flat(c):
    """Text of a message content in any of the four dialects."""
    if c is None:
        return ""
    if isinstance(c, str):
        return c
    if isinstance(c, dict):
        return c.get("text") or flat(c.get("content"))
    return "\n".join(flat(x) for x in c)


def norm(kind, b):
    """Request -> ([('user'|'assistant'|'tool', text)], [{name, schema, custom}])"""
    m, t = [], []
    if kind == "chat":
        for x in b.get("messages", []):
            r = x["role"]
            if r == "user":
                m.append(("user", flat(x.get("content"))))
            elif r == "tool":
                m.append(("tool", flat(x.get("content"))))
            elif r == "assistant":
                m.append(("assistant", flat(x.get("content"))))
        for x in b.get("tools") or []:
            f = x.get("function", x)
            t.append(dict(name=f.get("name"), schema=f.get("parameters") or {}, custom=False))
    elif kind == "responses":
        inp = b.get("input", [])
        if isinstance(inp, str):
            inp = [dict(type="message", role="user", content=inp)]
        for x in inp:
            ty = x.get("type", "message")
            if ty == "message":
                m.append((x.get("role", "user"), flat(x.get("content"))))
            elif ty.endswith("_output"):
                m.append(("tool", flat(x.get("output"))))
        for x in b.get("tools") or []:
            if x.get("type") == "namespace":
                for y in x.get("tools") or []:
                    t.append(
                        dict(
                            name=y.get("name"),
                            ns=x.get("name"),
                            schema=y.get("parameters") or {},
                            custom=y.get("type") == "custom",
                        )
                    )
                continue
            t.append(
                dict(
                    name=x.get("name") or x.get("type"),
                    schema=x.get("parameters") or {},
                    custom=x.get("type") == "custom",
                )
            )
    elif kind == "anthropic":
        for x in b.get("messages", []):
            c = x.get("content")
            if isinstance(c, str):
                m.append((x["role"], c))
                continue
            res = [y for y in c if y.get("type") == "tool_result"]
            for y in res:
                m.append(("tool", flat(y.get("content"))))
            txt = "\n".join(y.get("text", "") for y in c if y.get("type") == "text")
            if txt or not res:
                m.append((x["role"], txt))
        for x in b.get("tools") or []:
            t.append(dict(name=x.get("name"), schema=x.get("input_schema") or {}, custom=False))
    elif kind == "gemini":
        b = b.get("request", b)
        for x in b.get("contents", []):
            ps = x.get("parts", [])
            if any("functionResponse" in p for p in ps):
                m.append(("tool", json.dumps(ps)))
            txt = "\n".join(p.get("text", "") for p in ps if "text" in p)
            if txt:
                m.append(("assistant" if x.get("role") == "model" else "user", txt))
        for x in b.get("tools") or []:
            for f in x.get("functionDeclarations", []):
                t.append(
                    dict(
                        name=f["name"], schema=f.get("parametersJsonSchema") or f.get("parameters") or {}, custom=False
                    )
                )
    return m, t


ERRORS = {  # what -> status, OpenAI's code, Anthropic's type, Gemini's status, words
    "401": (401, "invalid_api_key", "authentication_error", "UNAUTHENTICATED", "invalid x-api-key (fake)"),
    "403": (403, "permission_denied", "permission_error", "PERMISSION_DENIED", "this key may not do that (fake)"),
    "429": (429, "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "rate limited (fake)"),
    "500": (500, "server_error", "api_error", "INTERNAL", "internal error (fake)"),
    "model": (404, "model_not_found", "not_found_error", "NOT_FOUND", "the model `{model}` does not exist (fake)"),
    "context": (400, "context_length_exceeded", "invalid_request_error", "INVALID_ARGUMENT", None),
    "quota": (
        429,
        "insufficient_quota",
        "rate_limit_error",
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "overloaded": (503, "server_is_overloaded", "overloaded_error", "UNAVAILABLE", "Overloaded"),
}
TOO_LONG = {
    "anthropic": "prompt is too long: 250000 tokens > 200000 maximum",
    "gemini": "The input token count (1250000) exceeds the maximum number of tokens allowed (1048576).",
    "chat": "This model's maximum context length is 128000 tokens. However, your messages resulted in 250000 tokens.",
    "responses": "Your input exceeds the context window of this model. Please adjust your input and try again.",
}


def failure(kind, what, model, closed):
    """Status, headers and body of an error, each dialect's own way."""
    headers, details, extra = {}, [], {}
    if what == "limit":
        until, how = closed
        left = max(1, round(until - time.time()))
        status, code, type_, state, words = ERRORS["429"]
        words = f"Rate limit reached for {model}. Please try again in {left}s."
        headers = {"retry-after": str(left)}
        if kind == "gemini":
            words = f"You exceeded your current quota. Please retry in {left}s."
            per = "PerDay" if how == "plan" else "PerMinute"
            quota = dict(quotaMetric="generate_content_requests", quotaId=f"GenerateRequests{per}PerProjectPerModel")
            details = [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [quota]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{left}s"},
            ]
        elif kind == "anthropic":
            words = "This request would exceed your account's rate limit. Please try again later."
            if how == "plan":
                headers |= {
                    "anthropic-ratelimit-unified-status": "rejected",
                    "anthropic-ratelimit-unified-reset": str(round(until)),
                    "anthropic-ratelimit-unified-representative-claim": "five_hour",
                    "anthropic-ratelimit-unified-5h-status": "rejected",
                    "anthropic-ratelimit-unified-5h-reset": str(round(until)),
                }
        elif how == "plan":
            type_, words = "usage_limit_reached", "The usage limit has been reached"
            extra = dict(plan_type="plus", resets_at=round(until), resets_in_seconds=left)
    elif what in ERRORS:
        status, code, type_, state, words = ERRORS[what]
        if what == "overloaded" and kind == "anthropic":
            status = 529
    else:
        status, code, type_, state, words = int(what), "fake", "api_error", "UNKNOWN", f"fake error {what}"
    words = (words or TOO_LONG[kind]).replace("{model}", str(model))
    if kind == "anthropic":
        body = {"type": "error", "error": {"type": type_, "message": words}, "request_id": "req_fake"}
    elif kind == "gemini":
        body = {"error": {"code": status, "message": words, "status": state, "details": details}}
    else:
        type_ = type_ if extra else "invalid_request_error" if status < 500 and status != 429 else code
        body = {"error": {"message": words, "type": type_, "param": None, "code": code, **extra}}
    return status, headers, body


class Speaks:
    """The answering half of a request's handler."""

    def js(self, o, status=200, headers={}):
        d = json.dumps(o).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        for k, v in headers.items():
            self.send_header(k, v)
        self.send_header("content-length", str(len(d)))
        self.end_headers()
        self.wfile.write(d)

    def sse_start(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-cache")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def ev(self, data, event=None):
        s = (
            (f"event: {event}\n" if event else "")
            + "data: "
            + (data if isinstance(data, str) else json.dumps(data))
            + "\n\n"
        )
        self.wfile.write(s.encode())
        self.wfile.flush()

    # every dialect turns acts into pieces of text first
    def words(self, act):
        if act[0] == "slow":
            for i in range(int(act[1] * 4)):
                time.sleep(0.25)
                yield f"w{i} "
        else:
            s = act[1]
            h = max(1, len(s) // 2)
            yield s[:h]
            if s[h:]:
                yield s[h:]

    def say_chat(self, b, acts, stream, nin, out_tokens, cached):
        id_ = f"chatcmpl-{next(IDS)}"
        base = dict(id=id_, created=int(time.time()), model=b.get("model", "fake-model"))
        calls = [a for a in acts if a[0] == "call"]
        nout = 0
        refused = any(a[0] == "refuse" for a in acts)

        def counted(nout):
            nout = out_tokens or nout
            return dict(
                prompt_tokens=nin,
                completion_tokens=nout,
                total_tokens=nin + nout,
                prompt_tokens_details=dict(cached_tokens=cached),
            )

        if not stream:
            txt = "".join(w for a in acts if a[0] in ("text", "slow", "refuse") for w in self.words(a))
            m = dict(role="assistant", content=txt or None)
            if calls:
                m["tool_calls"] = [
                    dict(
                        id=f"call_{next(IDS)}",
                        type="function",
                        function=dict(name=c[1]["name"], arguments=json.dumps(c[2])),
                    )
                    for c in calls
                ]
            return self.js(
                dict(
                    base,
                    object="chat.completion",
                    choices=[dict(index=0, message=m, finish_reason="tool_calls" if calls else "stop")],
                    usage=counted(7),
                )
            )
        self.sse_start()
        base["object"] = "chat.completion.chunk"

        def ch(d, f=None):
            return self.ev(dict(base, choices=[dict(index=0, delta=d, finish_reason=f)]))

        ch(dict(role="assistant", content=""))
        for a in acts:
            if a[0] in ("text", "slow", "think", "refuse"):
                for w in self.words(a):
                    ch({"reasoning_content" if a[0] == "think" else "content": w})
                    nout += 1
        for i, c in enumerate(calls):
            s = json.dumps(c[2])
            h = len(s) // 2
            ch(
                dict(
                    tool_calls=[
                        dict(
                            index=i,
                            id=f"call_{next(IDS)}",
                            type="function",
                            function=dict(name=c[1]["name"], arguments=""),
                        )
                    ]
                )
            )
            for x in (s[:h], s[h:]):
                ch(dict(tool_calls=[dict(index=i, function=dict(arguments=x))]))
        ch({}, "tool_calls" if calls else "content_filter" if refused else "stop")
        self.ev(dict(base, choices=[], usage=counted(nout + 5)))
        self.ev("[DONE]")

    def say_responses(self, b, acts, stream, nin, out_tokens, cached):
        rid = f"resp_{next(IDS)}"
        out = []
        nout = out_tokens or 7
        r = dict(
            id=rid,
            object="response",
            created_at=int(time.time()),
            status="in_progress",
            model=b.get("model"),
            output=[],
            parallel_tool_calls=False,
            tool_choice="auto",
            tools=[],
        )
        seq = itertools.count()
        e = (
            (lambda t, **k: self.ev(dict(type=t, sequence_number=next(seq), **k), t))
            if stream
            else (lambda t, **k: None)
        )
        if stream:
            self.sse_start()
        e("response.created", response=r)
        for a in acts:
            i = len(out)
            if a[0] in ("text", "slow"):
                it = dict(id=f"msg_{next(IDS)}", type="message", role="assistant", status="in_progress", content=[])
                e("response.output_item.added", output_index=i, item=it)
                e(
                    "response.content_part.added",
                    item_id=it["id"],
                    output_index=i,
                    content_index=0,
                    part=dict(type="output_text", text="", annotations=[]),
                )
                txt = ""
                for w in self.words(a):
                    txt += w
                    e("response.output_text.delta", item_id=it["id"], output_index=i, content_index=0, delta=w)
                part = dict(type="output_text", text=txt, annotations=[])
                e("response.output_text.done", item_id=it["id"], output_index=i, content_index=0, text=txt)
                e("response.content_part.done", item_id=it["id"], output_index=i, content_index=0, part=part)
                it = dict(it, status="completed", content=[part])
            elif a[0] == "refuse":
                it = dict(
                    id=f"msg_{next(IDS)}",
                    type="message",
                    role="assistant",
                    status="completed",
                    content=[dict(type="refusal", refusal=a[1])],
                )
                e("response.output_item.added", output_index=i, item=dict(it, content=[]))
                e("response.refusal.delta", item_id=it["id"], output_index=i, content_index=0, delta=a[1])
                e("response.refusal.done", item_id=it["id"], output_index=i, content_index=0, refusal=a[1])
            elif a[0] == "think":
                it = dict(id=f"rs_{next(IDS)}", type="reasoning", summary=[dict(type="summary_text", text=a[1])])
                e("response.output_item.added", output_index=i, item=dict(it, summary=[]))
            elif a[1]["custom"]:
                it = dict(
                    id=f"ctc_{next(IDS)}",
                    type="custom_tool_call",
                    status="completed",
                    call_id=f"call_{next(IDS)}",
                    name=a[1]["name"],
                    input=a[2],
                )
                e("response.output_item.added", output_index=i, item=dict(it, input=""))
                e("response.custom_tool_call_input.delta", item_id=it["id"], output_index=i, delta=a[2])
            else:
                s = json.dumps(a[2])
                it = dict(
                    id=f"fc_{next(IDS)}",
                    type="function_call",
                    status="completed",
                    call_id=f"call_{next(IDS)}",
                    name=a[1]["name"],
                    arguments=s,
                )
                if a[1].get("ns"):
                    it["namespace"] = a[1]["ns"]
                e("response.output_item.added", output_index=i, item=dict(it, arguments=""))
                e("response.function_call_arguments.delta", item_id=it["id"], output_index=i, delta=s)
                e("response.function_call_arguments.done", item_id=it["id"], output_index=i, arguments=s)
            e("response.output_item.done", output_index=i, item=it)
            out.append(it)
        u = dict(
            input_tokens=nin,
            input_tokens_details=dict(cached_tokens=cached),
            output_tokens=nout,
            output_tokens_details=dict(reasoning_tokens=0),
            total_tokens=nin + nout,
        )
        r = dict(r, status="completed", output=out, usage=u)
        if stream:
            e("response.completed", response=r)
        else:
            self.js(r)

    def say_anthropic(self, b, acts, stream, nin, out_tokens, cached):
        m = dict(
            id=f"msg_{next(IDS)}",
            type="message",
            role="assistant",
            model=b.get("model"),
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=dict(
                input_tokens=nin - cached,
                cache_creation_input_tokens=0,
                cache_read_input_tokens=cached,
                output_tokens=1,
            ),
        )
        stop = (
            "tool_use"
            if any(a[0] == "call" for a in acts)
            else "refusal"
            if any(a[0] == "refuse" for a in acts)
            else "end_turn"
        )
        nout = 5
        if not stream:
            for a in acts:
                if a[0] == "call":
                    m["content"].append(dict(type="tool_use", id=f"toolu_{next(IDS)}", name=a[1]["name"], input=a[2]))
                elif a[0] == "think":
                    m["content"].append(dict(type="thinking", thinking=a[1], signature="fake"))
                else:
                    m["content"].append(dict(type="text", text="".join(self.words(a))))
            m["stop_reason"] = stop
            m["usage"]["output_tokens"] = out_tokens or nout
            return self.js(m)
        self.sse_start()

        def e(t, **k):
            return self.ev(dict(type=t, **k), t)

        e("message_start", message=m)
        for i, a in enumerate(acts):
            if a[0] == "call":
                e(
                    "content_block_start",
                    index=i,
                    content_block=dict(type="tool_use", id=f"toolu_{next(IDS)}", name=a[1]["name"], input={}),
                )
                s = json.dumps(a[2])
                h = len(s) // 2
                for x in (s[:h], s[h:]):
                    e("content_block_delta", index=i, delta=dict(type="input_json_delta", partial_json=x))
            elif a[0] == "think":
                e("content_block_start", index=i, content_block=dict(type="thinking", thinking="", signature=""))
                e("content_block_delta", index=i, delta=dict(type="thinking_delta", thinking=a[1]))
                e("content_block_delta", index=i, delta=dict(type="signature_delta", signature="fake"))
            else:
                e("content_block_start", index=i, content_block=dict(type="text", text=""))
                for w in self.words(a):
                    nout += 1
                    e("content_block_delta", index=i, delta=dict(type="text_delta", text=w))
            e("content_block_stop", index=i)
        e(
            "message_delta",
            delta=dict(stop_reason=stop, stop_sequence=None),
            usage=dict(output_tokens=out_tokens or nout),
        )
        e("message_stop")

    def say_gemini(self, b, acts, stream, nin, out_tokens, cached):
        nout = out_tokens or 7
        um = dict(
            promptTokenCount=nin, candidatesTokenCount=nout, totalTokenCount=nin + nout, cachedContentTokenCount=cached
        )
        last = "SAFETY" if any(a[0] == "refuse" for a in acts) else "STOP"

        def chunk(parts, fin=None):
            c = dict(content=dict(role="model", parts=parts), index=0)
            if fin:
                c["finishReason"] = fin
            return dict(candidates=[c], usageMetadata=um, modelVersion="fake-model", responseId=f"g{next(IDS)}")

        if b.get("generationConfig", {}).get("responseMimeType") == "application/json" and acts == [
            ("text", "FAKE-OK")
        ]:
            acts = [("text", "{}")]

        def parts():
            for a in acts:
                if a[0] == "call":
                    yield dict(functionCall=dict(id=f"call_{next(IDS)}", name=a[1]["name"], args=a[2]))
                elif a[0] == "think":
                    yield dict(text=a[1], thought=True)
                else:
                    for w in self.words(a):
                        yield dict(text=w)

        if not stream:
            return self.js(chunk(list(parts()), last))
        self.sse_start()
        for x in parts():
            self.ev(chunk([x]))
        self.ev(chunk([dict(text="")], last))
