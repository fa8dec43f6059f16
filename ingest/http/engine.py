"""What of mitmproxy's HTTP engine is used here: the one place that knows in which of its modules things are."""

from mitmproxy.proxy.layers.http import DropStream as DropStream
from mitmproxy.proxy.layers.http import HttpLayer as HttpLayer
from mitmproxy.proxy.layers.http import HTTPMode as HTTPMode
from mitmproxy.proxy.layers.http import HttpStream as HttpStream
from mitmproxy.proxy.layers.http import RegisterHttpConnection as RegisterHttpConnection
from mitmproxy.proxy.layers.http import SendHttp as SendHttp
from mitmproxy.proxy.layers.http import validate_request as validate_request
from mitmproxy.proxy.layers.http._base import HttpEvent as HttpEvent
from mitmproxy.proxy.layers.http._base import ReceiveHttp as ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode as ErrorCode
from mitmproxy.proxy.layers.http._events import RequestData as RequestData
from mitmproxy.proxy.layers.http._events import RequestEndOfMessage as RequestEndOfMessage
from mitmproxy.proxy.layers.http._events import RequestHeaders as RequestHeaders
from mitmproxy.proxy.layers.http._events import RequestProtocolError as RequestProtocolError
from mitmproxy.proxy.layers.http._events import RequestTrailers as RequestTrailers
from mitmproxy.proxy.layers.http._events import ResponseData as ResponseData
from mitmproxy.proxy.layers.http._events import ResponseEndOfMessage as ResponseEndOfMessage
from mitmproxy.proxy.layers.http._events import ResponseHeaders as ResponseHeaders
from mitmproxy.proxy.layers.http._events import ResponseProtocolError as ResponseProtocolError
from mitmproxy.proxy.layers.http._events import ResponseTrailers as ResponseTrailers
from mitmproxy.proxy.layers.http._http1 import Http1Client as Http1Client
from mitmproxy.proxy.layers.http._http1 import Http1Server as Http1Server
from mitmproxy.proxy.layers.http._http1 import make_body_reader as make_body_reader
from mitmproxy.proxy.layers.http._http2 import Http2Client as Http2Client
from mitmproxy.proxy.layers.http._http2 import Http2Server as Http2Server
from mitmproxy.proxy.layers.http._http_h2 import BufferedH2Connection as BufferedH2Connection
