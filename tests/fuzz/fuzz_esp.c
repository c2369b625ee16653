// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Any bytes as ESP and AH. First the codecs alone; then whole frames against a driver that has an
 * association, both of a stranger's making and sealed ones that were tampered with: only what was
 * sealed and not changed may be taken, every other frame has one reason, and no buffer is lost.
 */
#include "fuzz.h"

#include "ipsec_net.h"

enum { WAYS = 8, SEALED_AT = 14 };

static const struct net_how ways[WAYS] = {
	{WIRE_IPPROTO_ESP, IPSEC_TRANSPORT, CIPHER_AES_128_GCM},
	{WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_CHACHA20_POLY1305, true, false, true},
	{WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_128_CBC_HMAC_SHA_256},
	{WIRE_IPPROTO_ESP, IPSEC_TRANSPORT, CIPHER_HMAC_SHA_256, true},
	{WIRE_IPPROTO_AH, IPSEC_TRANSPORT, CIPHER_HMAC_SHA_256},
	{WIRE_IPPROTO_AH, IPSEC_TUNNEL, CIPHER_AES_128_GMAC, false, true},
	{WIRE_IPPROTO_AH, IPSEC_TRANSPORT, CIPHER_AES_128_GMAC, true, false, true},
	{WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_HMAC_SHA_256},
};

static struct net_pair pair[WAYS];

/* The pair of a way, with associations that have carried nothing yet. */
static struct net_pair *fresh(u32 way)
{
	struct net_pair *p = &pair[way];
	struct ipsec_sa_state s;

	if (!p->end[0]) {
		net_pair_make(p, &ways[way]);
		return p;
	}
	(void)net_sa_upload(p->end[0], p->out[0], false);
	(void)net_sa_upload(p->end[1], p->in[1], false);
	s = net_sa(&p->how, 0, 0, 0x1000, p->key[0]);
	p->out[0] = net_sa_add(p->end[0], &s);
	s = net_sa(&p->how, 1, 0, 0x1000, p->key[1]);
	p->in[1] = net_sa_add(p->end[1], &s);
	return p;
}

static void try_codecs(const u8 *p, u32 len)
{
	struct wire_esp esp;
	struct wire_ah ah;
	u8 bytes[256], next;
	u32 n;

	if (!wire_esp_parse(p, len, &esp)) {
		wire_esp_write(bytes, &esp);
		FUZZ_MUST(!memcmp(bytes, p, WIRE_ESP_BYTES));
	}
	if (!wire_esp_trailer_parse(p, len, &n, &next)) {
		FUZZ_MUST(n + WIRE_ESP_TRAILER_BYTES <= len);
		wire_esp_trailer_write(bytes, min_of(len - n, 256u), next);
		FUZZ_MUST(len - n > 256 || !memcmp(bytes, p + n, len - n));
	}
	for (u8 version = 4; version <= 6; version += 2) {
		struct wire_ah again;

		if (wire_ah_parse(p, len, version, &ah))
			continue;
		FUZZ_MUST(ah.bytes <= len && wire_ah_write(bytes, &ah) == ah.bytes);
		FUZZ_MUST(!wire_ah_parse(bytes, ah.bytes, version, &again));
		FUZZ_MUST(again.spi == ah.spi && again.seq == ah.seq && again.bytes == ah.bytes);
	}
	if (len >= WIRE_IP4_BYTES && (p[0] & 15) * 4u >= WIRE_IP4_BYTES &&
	    (p[0] & 15) * 4u <= len) {
		memcpy(bytes, p, (p[0] & 15) * 4u);
		bytes[0] = (u8)(0x40 | (p[0] & 15));
		(void)!wire_ah_zero_mutable(bytes, (p[0] & 15) * 4u);
		FUZZ_MUST(!bytes[8] && !bytes[1]);
	}
}

/* A frame that comes in whatever it is: its buffers are where they should be, one reason at most.
 */
static bool receive(struct net_end *e, const u8 *p, u32 len, u32 first)
{
	u64 drops = net_drops(e);
	u32 free = e->pool.n_free[BUF_SMALL];
	bool taken = net_receive(e, p, len, first);

	FUZZ_MUST(e->pool.n_free[BUF_SMALL] == free);
	FUZZ_MUST(net_drops(e) == drops + !taken);
	return taken;
}

static void mend_ip4(u8 *ip)
{
	be16 sum;

	if (ip[0] != 0x45)
		return;
	ip[10] = ip[11] = 0;
	sum = csum_finish(csum_bytes(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
}

/* Bytes of a sealed frame are changed: it may not come through unless they were changed back. */
static void tamper(struct fuzz_in *in, struct net_pair *p)
{
	u32 header = SEALED_AT + (p->how.inner_v6 || p->how.outer_v6 ? 40 : 20);
	struct net_frame *o, f;
	u32 edits;

	if (p->how.mode == IPSEC_TUNNEL)
		header = SEALED_AT + (p->how.outer_v6 ? 40 : 20);
	net_emit(p->end[0], &p->how, 0, 5, fuzz_u16(in) % 1200, 0);
	net_send(p->end[0], 16);
	FUZZ_MUST(p->end[0]->n_out == 1);
	o = &p->end[0]->out[0];
	f = *o;
	edits = fuzz_u8(in) % 8;
	for (u32 i = 0; i < edits; i++)
		f.b[header + fuzz_u16(in) % (f.len - header)] ^= fuzz_u8(in);
	FUZZ_MUST(receive(p->end[1], f.b, f.len, fuzz_u8(in)) == !memcmp(f.b, o->b, f.len));
	/* Shorter than it says, and a header that agrees. */
	f = *o;
	f.len = header + fuzz_u16(in) % (f.len - header);
	wire_put16(f.b + SEALED_AT + (f.b[SEALED_AT] == 0x45 ? 2 : 4),
	           (u16)(f.len - SEALED_AT - (f.b[SEALED_AT] == 0x45 ? 0 : 40)));
	mend_ip4(f.b + SEALED_AT);
	FUZZ_MUST(!receive(p->end[1], f.b, f.len, 0));
}

/* A stranger's frame, with the SPI and addresses of the association where the input says so. */
static void strange(struct fuzz_in *in, struct net_pair *p)
{
	struct net_frame f = {.len = (u32)min_of(in->left, (size_t)1500)};
	bool helped = fuzz_u8(in) & 1;

	fuzz_bytes(in, f.b, f.len);
	if (helped && f.len > 60) {
		u8 *ip = f.b + SEALED_AT;

		wire_put16(f.b + 12, WIRE_ETH_IP4);
		ip[0] = 0x45;
		wire_put16(ip + 2, (u16)(f.len - SEALED_AT));
		wire_put16(ip + 6, 0);
		ip[9] = p->how.protocol;
		memcpy(ip + 16, net_outer(&p->how, 1).b + 12, 4);
		wire_put32(ip + (p->how.protocol == WIRE_IPPROTO_AH ? 24 : 20), 0x1000);
		mend_ip4(ip);
		FUZZ_MUST(!receive(p->end[1], f.b, f.len, 0));
		return;
	}
	if (f.len)
		(void)receive(p->end[1], f.b, f.len, 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, size};
	struct net_pair *p;
	u8 what;

	if (size < 4 || size > 4096)
		return 0;
	try_codecs(data, (u32)size);
	what = fuzz_u8(&in);
	p = fresh(what % WAYS);
	if (what & 0x80)
		tamper(&in, p);
	else
		strange(&in, p);
	return 0;
}
