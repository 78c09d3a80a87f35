import pytest

from worker.provider.wire import ReferenceMedia, build_body


def test_the_body_is_compact_and_in_a_fixed_order() -> None:
    params = {"output_format": "png", "image_size": "square_hd"}

    body = build_body(model="qwen-image", prompt="a cup", params=params, client_request_id="job-1")

    assert body == (
        b'{"model":"qwen-image","prompt":"a cup","params":{"image_size":"square_hd","output_format":"png"},'
        b'"client_request_id":"job-1"}'
    )


def test_a_reference_is_named_with_its_kind_and_type() -> None:
    reference = ReferenceMedia(url="https://cdn.example/f", name="f.png", mime_type="image/png")

    body = build_body(model="qwen-image", prompt="a cup", params={}, references=[reference])

    assert body == (
        b'{"model":"qwen-image","prompt":"a cup","params":{"referenceMediaItems":[{"url":"https://cdn.example/f",'
        b'"kind":"image","name":"f.png","mimeType":"image/png"}]}}'
    )


def test_the_order_in_which_params_were_given_does_not_show() -> None:
    one = build_body(model="qwen-image", prompt="p", params={"image_size": "square", "output_format": "png"})
    other = build_body(model="qwen-image", prompt="p", params={"output_format": "png", "image_size": "square"})

    assert one == other


def test_a_prompt_travels_as_utf_8_and_unescaped() -> None:
    body = build_body(model="qwen-image", prompt="日本の茶碗", params={})

    assert "日本の茶碗".encode() in body


def test_a_param_that_the_model_does_not_list_is_never_sent() -> None:
    with pytest.raises(ValueError, match="is no parameter of qwen-image"):
        build_body(model="qwen-image", prompt="p", params={"seed": 1})


def test_text_that_utf_8_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        build_body(model="qwen-image", prompt="\ud800", params={})
