/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Reassembly (RFC 791 3.2, RFC 8200 4.5). Fragments that overlap make the whole datagram worthless,
 * with all that still comes of it (RFC 5722, RFC 8200 4.5; the same for IPv4), exact copies are
 * passed over. Fragments that hide the transport header are dropped (RFC 1858, 3128, 7112). Memory
 * is bounded, and a source that asks for more than its share pays with its own datagrams.
 */
#include "host/soft/priv.h"

enum {
	DATAGRAM_MAX = 65535,
	PER_DATAGRAM = 64,    /* fragments */
	OVERHEAD_BYTES = 256, /* that an entry is charged */
	SHARES = 4,           /* a source may have a quarter of all */
	TCP_SAFE_BYTES = 16,  /* RFC 1858 3.1: flags are among them */
	EXCEEDED_REASSEMBLY = 1,
	PROBLEM_FIELD = 0,
	PROBLEM_FIRST_FRAGMENT = 3, /* RFC 7112 5 */
	LENGTH_POINTER_6 = 4,
	ECN_NOT_ECT = 0,
	ECN_CE = 3,
};

/* -- entries ----------------------------------------------------------------------------------- */

static void put_fragments(struct soft *s, struct soft_reassembly *d)
{
	while (d->first != NIL) {
		struct soft_fragment *f = &s->fragment[d->first];
		u32 index = d->first;

		d->first = f->next;
		buf_put_chain(s->pool, f->buf);
		f->next = s->fragment_free;
		s->fragment_free = index;
	}
	s->reassembly_bytes -= d->bytes;
	d->bytes = 0;
	d->n = 0;
}

static void drop(struct soft *s, struct soft_reassembly *d)
{
	put_fragments(s, d);
	d->taken = false;
	s->n_reassemblies--;
}

/* Stays without a byte, so that what is still to come is known for what it is. */
static void poison(struct soft *s, struct soft_reassembly *d)
{
	put_fragments(s, d);
	d->poisoned = true;
}

static struct soft_reassembly *find(struct soft *s, const struct wire_ip *ip)
{
	for (u32 i = 0; i < s->config.max_reassemblies; i++) {
		struct soft_reassembly *d = &s->reassembly[i];

		/* RFC 8200 4.5: addresses and identification; RFC 791: and the protocol. */
		if (d->taken && d->id == ip->id && d->version == ip->version &&
		    ip_addr_eq(&d->src, &ip->src) && ip_addr_eq(&d->dst, &ip->dst) &&
		    (ip->version == 6 || d->protocol == ip->protocol))
			return d;
	}
	return NULL;
}

/* Bytes and datagrams that a source has, and which of them is its oldest. */
static u32 used_by(const struct soft *s, const struct ip_addr *src, u32 *ret_n, u32 *ret_oldest)
{
	u32 bytes = 0;

	*ret_n = 0;
	*ret_oldest = NIL;
	for (u32 i = 0; i < s->config.max_reassemblies; i++) {
		const struct soft_reassembly *d = &s->reassembly[i];

		if (!d->taken || !ip_addr_eq(&d->src, src))
			continue;
		bytes += d->bytes;
		(*ret_n)++;
		if (*ret_oldest == NIL || d->born < s->reassembly[*ret_oldest].born)
			*ret_oldest = i;
	}
	return bytes;
}

static void evict(struct soft *s, u32 index)
{
	s->counters.reassembly_evicted++;
	drop(s, &s->reassembly[index]);
}

/* The oldest datagram of the source that has most. */
static void evict_from_largest(struct soft *s)
{
	u32 most = 0, victim = NIL;

	for (u32 i = 0; i < s->config.max_reassemblies; i++) {
		u32 n, oldest, bytes;

		if (!s->reassembly[i].taken)
			continue;
		bytes = used_by(s, &s->reassembly[i].src, &n, &oldest) + n * OVERHEAD_BYTES;
		if (bytes > most) {
			most = bytes;
			victim = oldest;
		}
	}
	if (victim != NIL)
		evict(s, victim);
}

static struct soft_reassembly *free_entry(struct soft *s)
{
	for (u32 i = 0; i < s->config.max_reassemblies; i++) {
		if (!s->reassembly[i].taken)
			return &s->reassembly[i];
	}
	return NULL;
}

static struct soft_reassembly *begin(struct soft *s, const struct wire_ip *ip)
{
	u32 n, oldest;
	struct soft_reassembly *d;

	(void)used_by(s, &ip->src, &n, &oldest);
	if (n && n >= max_of(s->config.max_reassemblies / SHARES, 1u))
		evict(s, oldest);
	d = free_entry(s);
	if (!d) {
		evict_from_largest(s);
		d = free_entry(s);
	}
	s->n_reassemblies++;
	*d = (struct soft_reassembly){
		.src = ip->src,
		.dst = ip->dst,
		.id = ip->id,
		.version = ip->version,
		.protocol = ip->protocol,
		.taken = true,
		.first = NIL,
		.until_ns = s->now_ns + s->config.reassembly_ns,
		.born = s->reassembly_born++,
	};
	return d;
}

/* Room for a fragment's bytes: first at its own source's cost. False: `d` itself had to go. */
static bool make_room(struct soft *s, struct soft_reassembly *d, u32 bytes)
{
	u64 born = d->born;
	u32 n, oldest;

	while (used_by(s, &d->src, &n, &oldest) + bytes > s->config.max_reassembly_bytes / SHARES) {
		evict(s, oldest);
		if (!d->taken || d->born != born)
			return false;
	}
	while (s->reassembly_bytes + bytes > s->config.max_reassembly_bytes) {
		evict_from_largest(s);
		if (!d->taken || d->born != born)
			return false;
	}
	return true;
}

/* -- fragments --------------------------------------------------------------------------------- */

static bool bad(struct soft *s, const struct wire_ip *ip, const u8 *p, u8 code, u32 pointer)
{
	const struct icmp_about about = {
		.kind = WIRE_ICMP_PARAMETER_PROBLEM, .code = code, .pointer = pointer};
	struct wire_ip whole = *ip;

	s->counters.fragments_bad++;
	whole.frag_off = 0; /* RFC 8200 4.5 asks for it whichever fragment it is */
	if (ip->version == 6)
		icmp_error(s, &whole, p, ip->header_bytes + ip->payload_bytes, &about);
	return false;
}

static bool is_sane(struct soft *s, const struct wire_ip *ip, const u8 *p)
{
	u32 end = ip->frag_off + ip->payload_bytes;

	if (!ip->payload_bytes || (ip->more_fragments && ip->payload_bytes % 8))
		return bad(s, ip, p, PROBLEM_FIELD, LENGTH_POINTER_6);
	if (end > DATAGRAM_MAX - (ip->version == 4 ? WIRE_IP4_BYTES : 0))
		return bad(s, ip, p, PROBLEM_FIELD, ip->header_bytes - WIRE_IP6_FRAG_BYTES + 2);
	return true;
}

/* RFC 1858 3, RFC 3128 2: nothing that a filter looks at may come late or twice. */
static bool is_tiny(const struct wire_ip *ip)
{
	if (ip->protocol != WIRE_IPPROTO_TCP)
		return false;
	return ip->frag_off == 8 || (!ip->frag_off && ip->payload_bytes < TCP_SAFE_BYTES);
}

/* RFC 7112: the first fragment has all headers of IPv6, those of the upper layer too. */
static bool lacks_headers(const struct wire_ip *ip, const u8 *p)
{
	const u8 *h = p + ip->header_bytes;
	u32 len = ip->payload_bytes;
	u8 next = ip->protocol;

	if (ip->version == 4 || ip->frag_off)
		return false;
	while (wire_ip6_is_extension(next)) {
		u32 bytes;

		if (len < 8)
			return true;
		bytes = 8 * (1u + h[1]);
		if (len < bytes)
			return true;
		next = h[0];
		h += bytes;
		len -= bytes;
	}
	return len < (next == WIRE_IPPROTO_TCP ? (u32)WIRE_TCP_BYTES : 8u);
}

enum place {
	PLACE_FREE,
	PLACE_COPY,
	PLACE_OVERLAP,
};

/* Where a fragment belongs: *ret_link is the link that will lead to it. */
static enum place find_place(struct soft *s, struct soft_reassembly *d, u32 off, u32 len,
                             u32 **ret_link)
{
	u32 *link = &d->first;

	for (; *link != NIL; link = &s->fragment[*link].next) {
		const struct soft_fragment *f = &s->fragment[*link];

		if (f->off == off && f->len == len)
			return PLACE_COPY;
		if (f->off >= off + len)
			break;
		if (f->off + f->len > off)
			return PLACE_OVERLAP;
	}
	*ret_link = link;
	return PLACE_FREE;
}

/* What the last one says of the length must fit what the others say. */
static bool ends_fit(const struct soft *s, const struct soft_reassembly *d,
                     const struct wire_ip *ip)
{
	u32 end = ip->frag_off + ip->payload_bytes;

	if (d->total)
		return end <= d->total && (ip->more_fragments || end == d->total);
	if (ip->more_fragments)
		return true;
	for (u32 i = d->first; i != NIL; i = s->fragment[i].next) {
		if (s->fragment[i].off + s->fragment[i].len > end)
			return false;
	}
	return true;
}

static void note_first(struct soft_reassembly *d, const struct wire_ip *ip, const u8 *p,
                       const struct soft_arrival *a)
{
	d->ip = *ip;
	d->arrival = *a;
	d->quote_bytes = (u16)min_of(ip->header_bytes + ip->payload_bytes, (u32)sizeof(d->quote));
	memcpy(d->quote, p, d->quote_bytes);
}

static bool insert(struct soft *s, struct soft_reassembly *d, const struct wire_ip *ip, const u8 *p,
                   u32 *link)
{
	u32 index = s->fragment_free, buf;
	struct soft_fragment *f;

	if (index == NIL || d->n == PER_DATAGRAM) {
		s->counters.not_taken++;
		return false;
	}
	buf = soft_chain_of(s, p + ip->header_bytes, ip->payload_bytes);
	if (buf == NIL) {
		s->counters.not_taken++;
		return false;
	}
	f = &s->fragment[index];
	s->fragment_free = f->next;
	*f = (struct soft_fragment){
		.buf = buf, .off = ip->frag_off, .len = (u16)ip->payload_bytes, .next = *link};
	*link = index;
	d->n++;
	d->have += ip->payload_bytes;
	d->bytes += ip->payload_bytes;
	s->reassembly_bytes += ip->payload_bytes;
	d->ecn |= (u8)(1 << (ip->tos & 3));
	if (!ip->more_fragments)
		d->total = ip->frag_off + ip->payload_bytes;
	return true;
}

/* -- whole ------------------------------------------------------------------------------------- */

/* RFC 3168 5.3: congestion that one fragment met, the datagram met; but not if another could not
 * have said so. */
static bool merge_ecn(const struct soft_reassembly *d, struct wire_ip *ip)
{
	if (!(d->ecn & 1 << ECN_CE))
		return true;
	ip->tos |= ECN_CE;
	return !(d->ecn & 1 << ECN_NOT_ECT);
}

static void complete(struct soft *s, struct soft_reassembly *d)
{
	u8 *start = s->scratch + WIRE_LINK_BYTES_MAX + 40;
	struct wire_ip ip = d->ip;
	const struct soft_arrival a = d->arrival;
	u8 *p;

	ip.payload_bytes = d->total;
	ip.frag_off = ip.more_fragments = ip.has_frag_header = 0;
	p = start - (ip.version == 4 ? WIRE_IP4_BYTES : WIRE_IP6_BYTES);
	for (u32 i = d->first; i != NIL; i = s->fragment[i].next)
		buf_chain_copy(s->pool, s->fragment[i].buf, 0, start + s->fragment[i].off,
		               s->fragment[i].len);
	drop(s, d);
	if (!merge_ecn(d, &ip)) {
		s->counters.fragments_bad++;
		return;
	}
	s->counters.reassembled++;
	wire_ip_write(p, &ip);
	soft_ip_input(s, p, (u32)(start - p) + ip.payload_bytes, &a);
}

void reasm_input(struct soft *s, const struct wire_ip *ip, const u8 *p,
                 const struct soft_arrival *a)
{
	struct soft_reassembly *d;
	u32 *link = NULL;

	s->counters.fragments++;
	if (!is_sane(s, ip, p))
		return;
	if (is_tiny(ip)) {
		s->counters.fragments_tiny++;
		return;
	}
	if (lacks_headers(ip, p)) {
		s->counters.fragments_tiny++;
		(void)bad(s, ip, p, PROBLEM_FIRST_FRAGMENT, 0);
		return;
	}
	d = find(s, ip);
	if (!d)
		d = begin(s, ip);
	if (d->poisoned)
		return;
	switch (find_place(s, d, ip->frag_off, ip->payload_bytes, &link)) {
	case PLACE_COPY:
		return;
	case PLACE_OVERLAP:
		s->counters.fragments_overlapping++;
		poison(s, d);
		return;
	default:
		break;
	}
	if (!ends_fit(s, d, ip)) {
		s->counters.fragments_bad++;
		poison(s, d);
		return;
	}
	if (!make_room(s, d, ip->payload_bytes) || !insert(s, d, ip, p, link))
		return;
	if (!ip->frag_off)
		note_first(d, ip, p, a);
	if (d->total && d->have == d->total)
		complete(s, d);
}

/* -- time -------------------------------------------------------------------------------------- */

/* RFC 1122 3.3.2, RFC 8200 4.5: who sent it is told, if the first fragment came. */
static void expire(struct soft *s, struct soft_reassembly *d)
{
	const struct icmp_about about = {.kind = WIRE_ICMP_TIME_EXCEEDED,
	                                 .code = EXCEEDED_REASSEMBLY};

	if (!d->poisoned)
		s->counters.reassembly_timeouts++;
	if (d->quote_bytes && !d->poisoned)
		icmp_error(s, &d->ip, d->quote, d->quote_bytes, &about);
	drop(s, d);
}

void reasm_timers(struct soft *s)
{
	for (u32 i = 0; s->n_reassemblies && i < s->config.max_reassemblies; i++) {
		if (s->reassembly[i].taken && s->reassembly[i].until_ns <= s->now_ns)
			expire(s, &s->reassembly[i]);
	}
}

u64 reasm_deadline(const struct soft *s)
{
	u64 at = TIMER_STOPPED;

	for (u32 i = 0; s->n_reassemblies && i < s->config.max_reassemblies; i++) {
		if (s->reassembly[i].taken)
			at = min_of(at, s->reassembly[i].until_ns);
	}
	return at;
}
