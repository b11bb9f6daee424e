"""What an application does with the official OpenAI client, through a gateway.

    python openai_client.py BASE_URL

Prints one JSON object: what the client made of each answer, and the bytes of each request as it left the client.
"""

import base64
import io
import json
import sys

import openai

# The smallest PNG: one transparent pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR4nGNgAAIAAAUAAXpeqz8AAAAASUVORK5CYII="
)


def main(base_url: str) -> None:
    sent = []

    def record(request) -> None:
        body = request.read()
        sent.append({"path": request.url.path, "body": body.hex()})

    client = openai.OpenAI(
        base_url=base_url,
        api_key="client-secret",
        max_retries=0,
        timeout=30,
        http_client=openai.DefaultHttpxClient(event_hooks={"request": [record]}),
    )
    question = [{"role": "user", "content": "Which way? 😀"}]

    chat = client.chat.completions.create(model="gpt-4o", messages=question, temperature=1.0)

    def stream(**options):
        text, usage, empty = "", [], 0
        for chunk in client.chat.completions.create(model="gpt-4o", messages=question, stream=True, **options):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            empty += not chunk.choices
            if chunk.usage:
                usage.append(chunk.usage.total_tokens)
        return {"text": text, "total_tokens": usage, "chunks_without_choices": empty}

    stream_without_usage = stream()
    stream_with_usage = stream(stream_options={"include_usage": True})

    embeddings = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    models = client.models.list()
    edit = client.images.edit(model="gpt-image-1", image=("way.png", io.BytesIO(PNG), "image/png"), prompt="A sign")

    answers = {
        "chat": {
            "model": chat.model,
            "text": chat.choices[0].message.content,
            "total_tokens": chat.usage.total_tokens,
        },
        "stream": stream_without_usage,
        "stream with usage": stream_with_usage,
        "embeddings": {"model": embeddings.model, "vectors": [item.embedding for item in embeddings.data]},
        "models": [model.id for model in models],
        "edit": {"image": edit.data[0].b64_json, "total_tokens": edit.usage.total_tokens},
    }
    json.dump({"version": openai.__version__, "answers": answers, "sent": sent}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
