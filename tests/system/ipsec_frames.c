/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * usage: ipsec_frames seal|open esp|ah transport|tunnel SUITE 4|6 4|6 esn|plain SEQ KEY
 *
 * For interop tests: frames as hexadecimal lines on standard input go through the IPsec driver of
 * end 0 (seal) or end 1 (open) of tests/unit/ipsec_net.h, SPI 0x1000, and come out on standard
 * output, a line each; "drop WORD" where one is dropped. The digits are the IP versions inside and
 * outside, KEY is hexadecimal, SEQ the last sequence number sent or received so far.
 */
#include "ipsec_net.h"

#include <stdio.h>
#include <string.h>

enum { LINE_MAX_CHARS = 2 * NET_FRAME_BYTES + 2, TCP_OFFSET_AT = 12 };

static u32 from_hex(const char *hex, u8 *to, u32 room)
{
	u32 n = 0;
	unsigned v;

	while (n < room && sscanf(hex + 2 * n, "%2x", &v) == 1 && strlen(hex + 2 * n) >= 2)
		to[n++] = (u8)v;
	return n;
}

static void print(const u8 *p, u32 len)
{
	for (u32 i = 0; i < len; i++)
		printf("%02x", p[i]);
	printf("\n");
}

static void report_drop(const struct net_end *e, const u64 *before)
{
	for (u32 i = 0; i < IPSEC_REASONS; i++) {
		if (ipsec_counters(e->d)->drops[i] != before[i])
			printf("drop %s\n", ipsec_reason_word(i));
	}
}

/* As a device emits it: headers in front, payload in a buffer. */
static void emit(struct net_end *e, const struct net_how *h, const u8 *p, u32 len)
{
	u32 tcp = WIRE_ETH_BYTES + (h->inner_v6 ? WIRE_IP6_BYTES : WIRE_IP4_BYTES);
	u32 headers = tcp + (p[tcp + TCP_OFFSET_AT] >> 4) * 4u;
	struct tx_frame *f = &e->emit[e->n_emit++];

	*f = (struct tx_frame){.header_off = 2,
	                       .header_len = (u8)headers,
	                       .payload_buf = NIL,
	                       .payload_len = len - headers};
	memcpy(f->header + 2, p, headers);
	if (len == headers)
		return;
	f->payload_buf = buf_alloc(&e->pool, BUF_SMALL);
	buf_at(&e->pool, f->payload_buf)->len = len - headers;
	memcpy(buf_data(&e->pool, f->payload_buf), p + headers, len - headers);
}

static void run(struct net_end *e, const struct net_how *h, bool seal)
{
	static char line[LINE_MAX_CHARS];

	while (fgets(line, sizeof(line), stdin)) {
		u64 before[IPSEC_REASONS];
		u8 p[NET_FRAME_BYTES];
		u32 len = from_hex(line, p, sizeof(p));

		memcpy(before, ipsec_counters(e->d)->drops, sizeof(before));
		e->n_got = 0;
		if (seal) {
			emit(e, h, p, len);
			net_send(e, 16);
			if (e->n_out)
				print(e->out[0].b, e->out[0].len);
		} else if (net_receive(e, p, len, 0)) {
			print(e->got[0].b, e->got[0].len);
		}
		report_drop(e, before);
	}
}

int main(int argc, char **argv)
{
	u8 key[CIPHER_KEY_BYTES_MAX];
	struct ipsec_policy policy;
	struct ipsec_sa_state s;
	struct net_how h;
	struct net_end *e;
	bool seal;
	u64 number;
	u32 len;

	if (argc != 10) {
		fprintf(stderr, "usage: ipsec_frames seal|open esp|ah transport|tunnel SUITE 4|6 "
		                "4|6 esn|plain SEQ KEY\n");
		return 2;
	}
	seal = !strcmp(argv[1], "seal");
	h = (struct net_how){
		.protocol = strcmp(argv[2], "ah") ? WIRE_IPPROTO_ESP : WIRE_IPPROTO_AH,
		.mode = strcmp(argv[3], "tunnel") ? IPSEC_TRANSPORT : IPSEC_TUNNEL,
		.suite = (u8)cipher_suite_named(argv[4], strlen(argv[4])),
		.inner_v6 = *argv[5] == '6',
		.outer_v6 = *argv[6] == '6',
		.esn = !strcmp(argv[7], "esn"),
	};
	e = net_make();
	len = from_hex(argv[9], key, sizeof(key));
	assert_int_equal(crypto_key_add(e->crypto, h.suite, key, len, &number), 0);
	s = net_sa(&h, !seal, 0, 0x1000, number);
	s.seq = strtoull(argv[8], NULL, 0);
	(void)net_sa_add(e, &s);
	policy = net_policy(&h, !seal);
	assert_int_equal(ipsec_set_policies(e->d, &policy, 1), 0);
	run(e, &h, seal);
	net_free(e);
	return 0;
}
