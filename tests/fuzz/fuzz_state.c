// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Any bytes as the state of a connection: what tcp_state_check() lets through can be imported, run,
 * and exported again as a state that it lets through.
 */
#include "fuzz.h"

#include "tcp_invariants.h"
#include "tcp_script.h"

/* The input edits a good state: an offset and a byte each. Payload stays empty: whether chains are
 * whole is block_list_check()'s to see. */
static void edit(struct fuzz_in *in, struct tcp_state *state)
{
	while (in->left) {
		u32 at = fuzz_u16(in) % sizeof(*state);

		((u8 *)state)[at] = fuzz_u8(in);
	}
	state->d.send = state->d.recv = (struct data_ref){.buf = NIL};
	state->d.ooo.n = 0;
}

static void run(struct script *s)
{
	static u8 bytes[4096];
	struct tcp_state out;

	for (u32 i = 0; i < 8; i++) {
		struct tx_batch tx = {s->tx, 0, SCRIPT_TX};

		IN(s, .len = i * 100, .seq = script_conn(s)->rcv_nxt.n - SCRIPT_IRS,
		   .ack = script_conn(s)->snd_una.n - SCRIPT_ISS);
		tcp_send(s->e, s->conn, bytes, 500 * i);
		tcp_recv(s->e, s->conn, bytes, 50);
		while (tcp_flush(s->e, s->e->now_ns, &tx))
			tx.n = 0;
		tcp_invariants(s->e, &s->pool, script_conn(s));
		script_at(s, (NS_PER_MS << i) * 20);
	}
	if (script_conn(s)->state < TCP_ESTABLISHED)
		return;
	memset(&out, 0, sizeof(out));
	tcp_conn_quiesce(s->e, s->conn, s->e->now_ns, NULL);
	tcp_conn_export(s->e, s->conn, s->e->now_ns, &out);
	out.k = s->state.k;
	out.c = s->state.c;
	FUZZ_MUST(!tcp_state_check(&out));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, size};
	struct script s;

	if (size > 3000)
		return 0;
	script_init(&s);
	edit(&in, &s.state);
	if (!tcp_state_check(&s.state)) {
		script_start(&s);
		run(&s);
		script_end(&s);
	} else {
		FUZZ_MUST(tcp_conn_import(s.e, &s.state, s.path, s.e->now_ns, &s.conn));
		script_discard(&s);
	}
	return 0;
}
