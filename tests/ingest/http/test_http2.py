"""Windows of HTTP/2: what was not taken is not granted."""

import h2.config
import h2.connection

from ingest.http.http2 import BACKLOG_BYTES, STREAM_WINDOW, FlowControlled


def pair() -> tuple[FlowControlled, h2.connection.H2Connection]:
    ours = FlowControlled(h2.config.H2Configuration(client_side=False))
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    ours.initiate_connection()
    peer.initiate_connection()
    ours.receive_data(peer.data_to_send())
    peer.receive_data(ours.data_to_send())
    head = [(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", "/")]
    peer.send_headers(1, head)
    ours.receive_data(peer.data_to_send())
    return ours, peer


def test_a_stream_is_granted_what_was_taken() -> None:
    ours, peer = pair()
    assert peer.local_flow_control_window(1) == STREAM_WINDOW
    size = peer.max_outbound_frame_size
    for _ in range(STREAM_WINDOW // size):
        peer.send_data(1, bytes(size))
        for event in ours.receive_data(peer.data_to_send()):
            ours.acknowledge_received_data(event.flow_controlled_length, 1)
    peer.receive_data(ours.data_to_send())
    assert peer.local_flow_control_window(1) == STREAM_WINDOW % size
    ours.consume(1, STREAM_WINDOW // 2)
    peer.receive_data(ours.data_to_send())
    assert peer.local_flow_control_window(1) >= STREAM_WINDOW // 2
    ours.consume(99, STREAM_WINDOW)  # a stream that never was


def test_the_backlog_of_a_slow_peer_is_known() -> None:
    ours, peer = pair()
    ours.send_headers(1, [(":status", "200")])
    for _ in range(8):
        ours.send_data(1, bytes(100_000))
    assert ours.backlog(1) > BACKLOG_BYTES
    ours.drained.clear()
    peer.receive_data(ours.data_to_send())
    peer.increment_flow_control_window(1 << 20)
    peer.increment_flow_control_window(1 << 20, 1)
    ours.receive_data(peer.data_to_send())
    assert ours.drained.is_set() and ours.backlog(1) == 0
