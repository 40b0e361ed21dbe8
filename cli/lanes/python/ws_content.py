"""The messages of the WebSocket workloads, the same in every Python lane."""

from frame import wrong_content

# Time after which a message counts as lost.
PATIENCE_S = 5


class Conversation:
    """One client of `ws-echo`. Each message is unique, so that a lost or doubled echo shows as what it is."""

    def __init__(self, socket):
        self.socket = socket
        self.said = 0

    def next(self):
        self.said += 1
        return f"message {self.said}"


def check_echo(message, answer):
    if answer != message:
        raise wrong_content(f"`{message}` was answered with `{answer}`")


class Room:
    """The clients of one room of `ws-chat`, and its numbered messages."""

    def __init__(self, path, params):
        self.path = path
        self.params = params
        self.clients = []
        self.messages = 0
        self.operations = 0

    def next_message(self):
        self.messages += 1
        return f"message {self.messages}"

    def next_speaker(self):
        self.operations += 1
        return self.operations % len(self.clients)

    def client_leaves(self):
        every = self.params["leave_every"]
        return every != 0 and self.operations % every == 0


def check_heard(message, text):
    if text != message:
        raise wrong_content(f"expected `{message}`, got `{text}`")


def wrong_newcomers(totals, replaced):
    if totals.failed or totals.connections["ws"] == replaced:
        return []
    return [f"expected {replaced} new clients, got {totals.connections['ws']}"]
