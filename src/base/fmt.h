/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A bounded string builder without stdio: text of the core, JSON above all, is made with it.
 *
 * What does not fit is left out as a whole call and remembered (`truncated`); the text is always
 * terminated. Calls after the first that did not fit write nothing, so the text is a prefix.
 */
#ifndef BASE_FMT_H
#define BASE_FMT_H

#include "base/types.h"

struct fmt {
	char *start;
	char *at;
	char *end; /* of the buffer; the terminator is inside */
	bool truncated;
};

enum { FMT_IP_BYTES = 46 }; /* longest address with its terminator */

/* Starts an empty text in `buf` (the caller's, at least one byte). */
void fmt_init(struct fmt *f, char *buf, size_t bytes);

/* Bytes written so far, without the terminator. */
static inline size_t fmt_len(const struct fmt *f)
{
	return (size_t)(f->at - f->start);
}

/* The length, or -ENOSPC when something was left out. */
MUST_CHECK int fmt_result(const struct fmt *f);

void fmt_char(struct fmt *f, char c);
void fmt_str(struct fmt *f, const char *s);
void fmt_mem(struct fmt *f, const char *s, size_t len);
void fmt_u64(struct fmt *f, u64 v);
void fmt_s64(struct fmt *f, s64 v);

/* Lower-case hexadecimal without prefix, at least `digits` (1 to 16) digits. */
void fmt_hex(struct fmt *f, u64 v, u32 digits);

/* Two hexadecimal digits a byte. */
void fmt_hex_bytes(struct fmt *f, const void *data, size_t len);

/* aa:bb:cc:dd:ee:ff */
void fmt_mac(struct fmt *f, const struct mac_addr *mac);

/* Dotted quad for a mapped IPv4 address, RFC 5952 for IPv6. */
void fmt_ip(struct fmt *f, const struct ip_addr *ip);

/* 10.0.0.1:80 or [2001:db8::1]:80 */
void fmt_ip_port(struct fmt *f, const struct ip_addr *ip, u16 port);

/* A JSON string (RFC 8259 7) with its quotes; bytes above 0x7f are passed on as they are. */
void fmt_json_str(struct fmt *f, const char *s);

#endif
