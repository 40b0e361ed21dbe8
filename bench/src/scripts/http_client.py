import http.client
import sys
from urllib.parse import urlsplit

from measured import measure

url, _, seconds = sys.argv[1:]
parts = urlsplit(url)
connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)


def get():
    connection.request("GET", parts.path)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200
    return body


expected = get()


def operate():
    assert get() == expected


measure(operate, float(seconds))
