/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/trace.h"

#include "base/hash.h"
#include "port/gather.h"
#include "wire/parse.h"

static const struct hash_key key = {{0x73696d, 0x7472616365}};

static void mix(struct trace *t, const void *data, size_t len)
{
	u64 both[2] = {t->hash, hash_bytes(&key, data, len)};

	t->hash = hash_bytes(&key, both, sizeof(both));
}

static void say_time(struct trace *t, u64 now_ns)
{
	fprintf(t->out, "%llu.%09llu ", (unsigned long long)(now_ns / NS_PER_S),
	        (unsigned long long)(now_ns % NS_PER_S));
}

static void say_frame(struct trace *t, u64 now_ns, const char *by, const struct tx_frame *f)
{
	const u8 *header = f->header + f->header_off;
	struct wire_tcp_segment s;

	say_time(t, now_ns);
	/* The headers alone: lengths are claimed by them. */
	if (wire_parse_tcp(header, f->header_len, tx_frame_len(f), &s) != WIRE_OK) {
		fprintf(t->out, "%s sends %u bytes\n", by, tx_frame_len(f));
		return;
	}
	fprintf(t->out, "%s sends %u>%u %s%s%s%s seq %u ack %u win %u len %u\n", by,
	        s.flow.remote_port, s.flow.local_port, s.flags & WIRE_SYN ? "S" : "",
	        s.flags & WIRE_FIN ? "F" : "", s.flags & WIRE_RST ? "R" : "",
	        s.flags & WIRE_ACK ? "." : "", s.seq.n, s.ack.n, s.wnd, f->payload_len);
}

void trace_frame(struct trace *t, u64 now_ns, const char *by, struct buf_pool *pool,
                 const struct tx_frame *f)
{
	struct payload_walk walk;
	const u8 *at;
	u32 n;

	t->frames++;
	mix(t, &now_ns, sizeof(now_ns));
	mix(t, by, strlen(by));
	mix(t, f->header + f->header_off, f->header_len);
	payload_walk_init(&walk, pool, f);
	while ((at = payload_walk_next(&walk, UINT32_MAX, &n)))
		mix(t, at, n);
	if (t->out)
		say_frame(t, now_ns, by, f);
}

void trace_event(struct trace *t, u64 now_ns, const char *text)
{
	t->events++;
	mix(t, &now_ns, sizeof(now_ns));
	mix(t, text, strlen(text));
	if (!t->out)
		return;
	say_time(t, now_ns);
	fprintf(t->out, "%s\n", text);
}
