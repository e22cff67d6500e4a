"""A page that was written for the recipe works unchanged. These are the
frames of its client, byte for byte where it matters, over an independent
WebSocket implementation."""

import asyncio
import json

import websockets


async def recipe_client(url, user, actions):
    """What the recipe's WsConnect does: answer 231 by 230, 236 by 237."""
    received = []
    async with websockets.connect(url, ping_interval=None) as socket:
        async def heartbeat():
            while True:
                await socket.send("ping")
                await asyncio.sleep(0.2)
        beating = asyncio.create_task(heartbeat())
        try:
            shown = False
            async for text in socket:
                received.append(text)
                if text == "pong":
                    if shown:
                        return received
                    continue
                message = json.loads(text)
                if message["code"] == 231:
                    await socket.send(json.dumps(
                        {"code": 230, "msg": "初始化当前用户", "data": user},
                        ensure_ascii=False))
                    await actions(socket)
                elif message["code"] == 236:
                    await socket.send(json.dumps(
                        {"code": 237, "msg": "删除信息",
                         "data": list(message["data"])}))
                    shown = True
                    if "pong" in received:
                        return received
        finally:
            beating.cancel()


def test_two_pages(stack):
    url = f"ws://127.0.0.1:{stack.nginx.port}/chat/chat_websocket/"

    async def send(socket):
        await socket.send(json.dumps({
            "code": 234, "msg": "发送信息", "data": {
                "chat_id": 21, "send_id": "211700000000000",
                "send_timestamp": 1700000000000, "new_type": "text",
                "content": "你好", "resource_url": ""}}))

    async def nothing(_):
        pass

    async def both():
        return await asyncio.wait_for(asyncio.gather(
            recipe_client(url, 2, nothing), recipe_client(url, 1, send)), 20)

    bao, ada = asyncio.run(both())
    sent = [json.loads(text) for text in ada if text != "pong"]
    assert [frame["code"] for frame in sent if frame["code"] != 240] == [
        231, 235, 236]
    assert "pong" in ada
    [shown] = [text for text in bao if '"code":236' in text]
    [news] = json.loads(shown)["data"].values()
    assert news["content"] == "你好"
    assert news["send_user_id"] == 1
    stack.wait(lambda: not stack.redis.inbox(1) and not stack.redis.inbox(2))
