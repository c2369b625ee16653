/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Unaligned loads and stores of wire-order fields. The caller has checked that the bytes are there.
 */
#ifndef WIRE_LOAD_H
#define WIRE_LOAD_H

#include "base/types.h"

static inline u16 wire_get16(const u8 *p)
{
	be16 v;

	memcpy(&v, p, sizeof(v));
	return be16_to_cpu(v);
}

static inline u32 wire_get32(const u8 *p)
{
	be32 v;

	memcpy(&v, p, sizeof(v));
	return be32_to_cpu(v);
}

static inline void wire_put16(u8 *p, u16 v)
{
	be16 b = cpu_to_be16(v);

	memcpy(p, &b, sizeof(b));
}

static inline void wire_put32(u8 *p, u32 v)
{
	be32 b = cpu_to_be32(v);

	memcpy(p, &b, sizeof(b));
}

/* Four bytes of IPv4 address to and from the mapped form. */
static inline void wire_get_ip4(const u8 *p, struct ip_addr *ret_ip)
{
	memset(ret_ip->b, 0, 8);
	memcpy(ret_ip->b + 8, "\0\0\xff\xff", 4);
	memcpy(ret_ip->b + 12, p, 4);
}

static inline void wire_put_ip4(u8 *p, const struct ip_addr *ip)
{
	memcpy(p, ip->b + 12, 4);
}

#endif
