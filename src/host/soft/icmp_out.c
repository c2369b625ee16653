/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ICMP errors that we send: when not to (RFC 1122 3.2.2, RFC 4443 2.4 e), and no more often than
 * the rate allows (RFC 1812 4.3.2.8, RFC 4443 2.4 f). */
#include "host/soft/priv.h"

static bool is_group(const struct ip_addr *a)
{
	if (ip_addr_is_v4(a))
		return a->b[12] >= 224; /* 240 and above, the broadcast address too, are nobody */
	return a->b[0] == 0xff;
}

/* An error about an error would never end. What cannot be read counts as one. */
static bool is_icmp_error(const struct wire_ip *ip, const u8 *p, u32 len)
{
	u8 type;

	if (ip->protocol != (ip->version == 4 ? WIRE_IPPROTO_ICMP : WIRE_IPPROTO_ICMP6))
		return false;
	if (ip->header_bytes >= len)
		return true;
	type = p[ip->header_bytes];
	if (ip->version == 6)
		return type < 128;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

void icmp_error(struct soft *s, const struct wire_ip *ip, const u8 *p, u32 len,
                const struct icmp_about *about)
{
	struct wire_ip back = {.version = ip->version, .src = ip->dst, .dst = ip->src};
	const struct wire_icmp icmp = {.kind = about->kind,
	                               .code = about->code,
	                               .pointer = about->pointer,
	                               .data = p,
	                               .data_bytes = len};
	u8 bytes[WIRE_ICMP_BYTES + WIRE_ICMP_QUOTE_MAX];
	struct soft_datagram d = {.src = ip->dst, .dst = ip->src, .bytes = bytes};

	if (soft_is_nobody(s, &ip->src) || is_icmp_error(ip, p, len) || ip->frag_off ||
	    (is_group(&ip->dst) && !about->to_group))
		return;
	if (!soft_bucket_take(s, &s->icmp_bucket, s->config.icmp_per_s)) {
		s->counters.icmp_limited++;
		return;
	}
	d.protocol = ip->version == 4 ? WIRE_IPPROTO_ICMP : WIRE_IPPROTO_ICMP6;
	if (is_group(&ip->dst))
		back.src = d.src = *soft_local_for(s, &ip->src);
	d.len = wire_icmp_write(bytes, &back, &icmp);
	if (soft_send_datagram(s, &d))
		s->counters.icmp_out++;
}
