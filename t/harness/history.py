"""What clients saw, and whether it keeps the promises.

Clients record facts while they run; check() is given nothing else. It knows
neither chat-worker nor Redis, so it cannot be wrong in the same way.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Message:
    """A message as its sender knows it. `number` counts the sends of one
    user to one chat, so that order can be read off it."""
    sender: str
    chat: int
    number: int

    @property
    def send_id(self):
        return f"{self.sender}-{self.chat}-{self.number}"

    @classmethod
    def of_send_id(cls, send_id):
        sender, chat, number = send_id.split("-")
        return cls(sender, int(chat), int(number))


@dataclass
class Device:
    """One installation of the client library: what it was sent (every 236,
    in order, with repetitions), and what it showed its user."""
    user: str
    name: str
    arrived: list = field(default_factory=list)  # (time, key, Message,
                                                 #  number of the session)
    shown: list = field(default_factory=list)    # (time, Message)


class History:
    def __init__(self, members):
        """members: {chat: users that may receive} at the beginning."""
        self.members = {chat: set(users) for chat, users in members.items()}
        self.changes = defaultdict(list)  # (chat, user) -> [_Change]
        self.sent = {}         # Message -> time of the first send
        self.confirmed = {}    # Message -> time of the 235
        self.refused = {}      # Message -> (time, reason of the 300)
        self.acknowledged = defaultdict(set)  # user -> keys
        self.devices = []

    def device(self, user, name="1"):
        self.devices.append(Device(user, name))
        return self.devices[-1]

    def users(self):
        return sorted({device.user for device in self.devices})

    # Facts, in the words of the protocol

    def on_send(self, message):
        self.sent.setdefault(message, time.monotonic())

    def on_235(self, message):
        self.confirmed.setdefault(message, time.monotonic())

    def on_300(self, message, reason):
        self.refused.setdefault(message, (time.monotonic(), reason))

    def on_236(self, device, key, send_id, session=None):
        device.arrived.append(
            (time.monotonic(), key, Message.of_send_id(send_id), session))

    def on_shown(self, device, send_id):
        device.shown.append((time.monotonic(), Message.of_send_id(send_id)))

    def on_237(self, device, keys):
        self.acknowledged[device.user].update(keys)

    def on_membership(self, chat, user, joined, began, settled):
        """The user joined or left the chat. Messages that were on their way
        between `began` and `settled` may have gone by either membership."""
        self.changes[chat, user].append(_Change(joined, began, settled))

    def is_member(self, message, user):
        """Was the message for that user? None: it may have been."""
        answer = user in self.members[message.chat]
        for change in self.changes.get((message.chat, user), ()):
            if self.sent[message] > change.settled:
                answer = change.joined
            elif self._answered(message) >= change.began:
                return None
        return answer

    def _answered(self, message):
        return max(self.confirmed.get(message, 0),
                   self.refused.get(message, (0,))[0]) or float("inf")

    # How long things took, in seconds

    def longest_silence(self):
        """The longest time between two 235, whoever they were for."""
        times = sorted(self.confirmed.values())
        return max((b - a for a, b in zip(times, times[1:])), default=0)

    def slowest_answer(self):
        """The longest that anybody waited for a 235."""
        return max((at - self.sent[message]
                    for message, at in self.confirmed.items()), default=0)

    def recovery(self, healed):
        """From that time to the first 235 of a message that was sent after
        it, None if there was none."""
        return min((at - healed for message, at in self.confirmed.items()
                    if self.sent[message] >= healed), default=None)


@dataclass
class _Change:
    joined: bool
    began: float
    settled: float


def check(history):
    """The list of broken promises, each a sentence; empty if all held."""
    return [*check_answers(history), *check_senders(history),
            *check_delivery(history), *check_origin(history), *check_shown_once(history),
            *check_keys(history), *check_sessions(history),
            *check_order(history)]


def check_answers(history):
    """Every send was answered."""
    for message in history.sent:
        if message not in history.confirmed and \
                message not in history.refused:
            yield f"{message.send_id}: neither 235 nor 300"


def check_senders(history):
    """No 235 for one who is not in the chat."""
    for message in history.confirmed:
        if history.is_member(message, message.sender) is False:
            yield f"{message.send_id}: 235 for a sender who is no member"


def check_delivery(history):
    """What had a 235 arrived at every member."""
    shown = defaultdict(set)
    for device in history.devices:
        shown[device.user].update(message for _, message in device.shown)
    for message in history.confirmed:
        for user in shown:
            if message not in shown[user] and \
                    history.is_member(message, user):
                yield f"{message.send_id}: 235, but never shown to {user}"


def check_origin(history):
    """Nothing arrived that was not sent, or at someone it is not for."""
    for device in history.devices:
        for _, _, message, _ in device.arrived:
            if message not in history.sent:
                yield f"{message.send_id}: arrived but was never sent"
            elif history.is_member(message, device.user) is False:
                yield (f"{message.send_id}: arrived at {device.user}, who is "
                       f"not in chat {message.chat}")


def check_shown_once(history):
    """No device showed a message twice."""
    for device in history.devices:
        seen = set()
        for _, message in device.shown:
            if message in seen:
                yield (f"{message.send_id}: shown twice to {device.user} on "
                       f"device {device.name}")
            seen.add(message)


def check_keys(history):
    """One message has one key for one user: stored once."""
    keys = defaultdict(set)
    for device in history.devices:
        for _, key, message, _ in device.arrived:
            keys[message, device.user].add(key)
    for (message, user), found in keys.items():
        if len(found) > 1 and message not in history.refused:
            yield (f"{message.send_id}: stored {len(found)} times for "
                   f"{user}")


def check_sessions(history):
    """No session was sent a key twice."""
    for device in history.devices:
        seen = set()
        for _, key, message, session in device.arrived:
            if session is not None and (session, key) in seen:
                yield (f"{message.send_id}: sent twice to {device.user} in "
                       f"one session")
            seen.add((session, key))


def check_order(history):
    """What a sender sent to a chat was shown in that order."""
    for device in history.devices:
        last = {}
        for _, message in device.shown:
            if message not in history.confirmed or \
                    message in history.refused:
                continue  # a refused send may be repeated later by a person
            course = (message.sender, message.chat)
            before = last.get(course)
            if before and message.number < before.number:
                yield (f"{message.send_id}: shown to {device.user} on device "
                       f"{device.name} after {before.send_id}")
            last[course] = message
