# /// script
# dependencies = ["openai==3.57.0"]
# ///
"""The openai client against `texlens serve`: chat, streams, logprobs, models, errors, async."""

import asyncio
import base64
import os

import openai
from common import PICTURES, require, server, texlens_readings

expected = texlens_readings()
with server(
    [os.environ["INTEROP_TEXLENS"], "serve", "--port", "{port}", "--token", "secret"], "/docs"
) as address:
    options = {"base_url": f"{address}/v1", "api_key": "secret"}
    client = openai.OpenAI(**options)
    model = client.models.list().data[0].id
    require(client.models.retrieve(model).id == model, "models.retrieve gives another model")

    def question(place: int) -> dict:
        """The request for one picture."""
        data = base64.b64encode(PICTURES[place].read_bytes()).decode()
        kind = PICTURES[place].suffix.lstrip(".").replace("jpg", "jpeg")
        picture = {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}
        return {"model": model, "messages": [{"role": "user", "content": [picture]}]}

    answer = client.chat.completions.create(**question(0), logprobs=True)
    text = answer.choices[0].message.content
    require(text == expected[0]["normal"], f"{text!r} in place of {expected[0]['latex']!r}")
    require(answer.choices[0].logprobs.content, "no logprobs")
    require(answer.usage.completion_tokens > 1, "no usage")

    chunks = list(
        client.chat.completions.create(
            **question(0), stream=True, stream_options={"include_usage": True}
        )
    )
    streamed = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    require(streamed == text, f"the stream is {streamed!r}")
    require(chunks[-1].usage is not None, "the stream has no usage")

    async def many() -> list[str]:
        """Eight answers, asked for at the same time."""
        async with openai.AsyncOpenAI(**options) as other:
            answers = await asyncio.gather(
                *(other.chat.completions.create(**question(place)) for place in range(8))
            )
        return [one.choices[0].message.content for one in answers]

    same = sum(
        got == want["normal"] for got, want in zip(asyncio.run(many()), expected, strict=False)
    )
    require(same == 8, f"{same} of 8 answers at a time are those of `texlens read`")
    for error, call in {
        openai.AuthenticationError: lambda: openai.OpenAI(
            base_url=options["base_url"], api_key="wrong"
        ).models.list(),
        openai.NotFoundError: lambda: client.models.retrieve("nothing"),
        openai.BadRequestError: lambda: client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "no picture"}]
        ),
    }.items():
        try:
            call()
        except error:
            continue
        require(False, f"no {error.__name__}")
print("models, chat, stream with usage, logprobs, 8 answers at a time, three kinds of error")
