/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How a connection ends while it is offloaded: FIN, disconnect, reset. */
#include "target_streams.h"

/* FIN is told of only after every byte before it was consumed */
static void peer_closed_after_the_last_byte(void **state)
{
	struct world *w = world_with(1, NULL);
	u8 buf[400];

	peer_send(w, 0, 0, 300);
	tcp_shutdown(w->peer, w->peer_conn[0]);
	world_run(w, 5);
	assert_int_equal(host_count(w, IND_RECEIVE), 1);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 0);
	assert_int_equal(do_recv(w, 0, buf, 299, RECV_NOW, 0), 299);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 0);
	assert_int_equal(do_recv(w, 0, buf, 299, RECV_NOW, 0), 1);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	assert_int_equal(do_recv(w, 0, buf, 299, RECV_NOW, 0), -ESHUTDOWN);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	world_free(w);
}

/* Posted receives at a FIN: what there is, then the end of the stream */
static void posted_receives_at_the_end(void **state)
{
	struct world *w = world_with(1, NULL);
	static u8 buf[2][400];

	(void)do_recv(w, 0, buf[0], 400, 0, 1);
	(void)do_recv(w, 0, buf[1], 400, 0, 2);
	peer_send(w, 0, 0, 300);
	tcp_shutdown(w->peer, w->peer_conn[0]);
	world_run(w, 5);
	assert_int_equal(host_done(w, 1)->bytes, 300);
	assert_int_equal(host_done(w, 2)->bytes, 0);
	assert_int_equal(host_done(w, 2)->status, STATUS_OK);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	(void)do_recv(w, 0, buf[0], 400, 0, 3); /* and every later one */
	world_run(w, 1);
	assert_int_equal(host_done(w, 3)->bytes, 0);
	world_free(w);
}

/* A graceful disconnect: FIN behind the data, complete when acknowledged; then the connection is
 * the host's (TIME_WAIT) */
static void graceful_disconnect(void **state)
{
	struct world *w = world_with(1, NULL);
	u8 data[500];

	stream_fill(data, 0, 500);
	(void)do_send(w, 0, data, 500, 0, 1);
	do_disconnect(w, 0, false, 2);
	(void)do_send(w, 0, data, 500, 0, 3);
	assert_int_equal(host_done(w, 3)->status, STATUS_BAD_STATE);
	assert_int_equal(do_send(w, 0, data, 500, SEND_BUFFERED, 0), -EPIPE);
	world_run(w, 10);
	assert_int_equal(host_done(w, 1)->status, STATUS_OK);
	assert_int_equal(host_done(w, 2)->status, STATUS_OK);
	assert_int_equal(peer_read(w, 0, 0), 500);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 0);
	tcp_shutdown(w->peer, w->peer_conn[0]);
	world_run(w, 10);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail, UPLOAD_TIME_WAIT);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* SEND_FIN is a send and a disconnect in one; after LAST_ACK the rest is the host's as well */
static void send_with_fin(void **state)
{
	struct world *w = world_with(2, NULL);
	u8 data[500];

	stream_fill(data, 0, 500);
	tcp_shutdown(w->peer, w->peer_conn[0]);
	tcp_shutdown(w->peer, w->peer_conn[1]);
	world_run(w, 5);
	(void)do_send(w, 0, data, 500, SEND_FIN, 1);
	assert_int_equal(do_send(w, 1, data, 500, SEND_FIN | SEND_BUFFERED, 0), 500);
	world_run(w, 10);
	assert_int_equal(host_done(w, 1)->status, STATUS_OK);
	assert_int_equal(peer_read(w, 0, 0), 500);
	assert_int_equal(peer_read(w, 1, 0), 500);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 2);
	assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail, UPLOAD_TIME_WAIT);
	world_upload(w, 0, 2, true);
	world_is_empty(w);
	world_free(w);
}

/* An abortive disconnect completes when the RST is out; everything else ends ABORTED */
static void abortive_disconnect(void **state)
{
	struct world *w = world_with(1, NULL);
	u8 buf[100];

	(void)do_recv(w, 0, buf, 100, 0, 1);
	(void)do_send(w, 0, "abc", 3, 0, 2);
	do_disconnect(w, 0, true, 3);
	do_disconnect(w, 0, true, 4);
	assert_int_equal(host_done(w, 4)->status, STATUS_BAD_STATE);
	world_run(w, 5);
	assert_int_equal(host_done(w, 1)->status, STATUS_ABORTED);
	assert_int_equal(host_done(w, 2)->status, STATUS_ABORTED);
	assert_int_equal(host_done(w, 3)->status, STATUS_OK);
	assert_int_equal(host_count(w, IND_ABORTED), 0);
	assert_int_equal(tcp_conn_state(w->peer, w->peer_conn[0]), TCP_CLOSED);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* R76: an acceptable RST ends it: calls complete ABORTED, with what they hold; bytes that were
 * indicated can still be taken */
static void reset_by_the_peer(void **state)
{
	struct world *w = world_with(2, NULL);
	static u8 buf[1000];

	(void)do_recv(w, 0, buf, 1000, 0, 1);
	peer_send(w, 0, 0, 300);
	world_run(w, 3);
	tcp_abort(w->peer, w->peer_conn[0]);
	tcp_abort(w->peer, w->peer_conn[1]);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_ABORTED), 2);
	assert_int_equal(host_last(w, IND_ABORTED)->detail, ECONNRESET);
	assert_int_equal(host_done(w, 1)->status, STATUS_ABORTED);
	assert_int_equal(host_done(w, 1)->bytes, 300);
	stream_check(buf, 0, 300);
	assert_int_equal(do_send(w, 1, buf, 1, SEND_BUFFERED, 0), -ECONNRESET);
	world_upload(w, 0, 2, true);
	world_is_empty(w);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(peer_closed_after_the_last_byte),
		cmocka_unit_test(posted_receives_at_the_end),
		cmocka_unit_test(graceful_disconnect),
		cmocka_unit_test(send_with_fin),
		cmocka_unit_test(abortive_disconnect),
		cmocka_unit_test(reset_by_the_peer),
	};

	return RUN_TESTS(tests);
}
