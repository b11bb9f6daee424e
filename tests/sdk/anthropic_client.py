"""What an application does with the official Anthropic client, through a gateway.

    python anthropic_client.py BASE_URL

Prints one JSON object: what the client made of each answer, and the bytes of each request as it left the client.
"""

import json
import sys

import anthropic


def main(base_url: str) -> None:
    sent = []

    def record(request) -> None:
        body = request.read()
        sent.append({"path": request.url.path, "body": body.hex()})

    client = anthropic.Anthropic(
        base_url=base_url,
        api_key="client-secret",
        max_retries=0,
        timeout=30,
        http_client=anthropic.DefaultHttpxClient(event_hooks={"request": [record]}),
    )
    request = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Which way? 😀"}]}

    def summary(message, text):
        usage = message.usage
        return {
            "model": message.model,
            "text": text,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
        }

    message = client.messages.create(max_tokens=100, **request)
    with client.messages.stream(max_tokens=100, **request) as stream:
        streamed = "".join(stream.text_stream)
        final = stream.get_final_message()
    count = client.messages.count_tokens(**request)

    answers = {
        "message": summary(message, message.content[0].text),
        "stream": summary(final, streamed),
        "count": count.input_tokens,
    }
    json.dump({"version": anthropic.__version__, "answers": answers, "sent": sent}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
