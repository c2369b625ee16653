/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "crypto/hmac.h"

#include <string.h>

enum { INNER_PAD = 0x36, OUTER_PAD = 0x5c };

void hmac_key(struct hmac *h, const u8 *key, u32 len)
{
	u8 pad[SHA256_CBLOCK];

	memset(pad, INNER_PAD, sizeof(pad));
	for (u32 i = 0; i < len; i++)
		pad[i] ^= key[i];
	SHA256_Init(&h->inner);
	SHA256_Update(&h->inner, pad, sizeof(pad));
	for (u32 i = 0; i < sizeof(pad); i++)
		pad[i] ^= INNER_PAD ^ OUTER_PAD;
	SHA256_Init(&h->outer);
	SHA256_Update(&h->outer, pad, sizeof(pad));
	explicit_bzero(pad, sizeof(pad));
}

void hmac_begin(struct hmac *h)
{
	h->now = h->inner;
}

void hmac_add(struct hmac *h, const void *data, size_t len)
{
	SHA256_Update(&h->now, data, len);
}

void hmac_end(struct hmac *h, u8 mac[SHA256_DIGEST_LENGTH])
{
	SHA256_Final(mac, &h->now);
	h->now = h->outer;
	SHA256_Update(&h->now, mac, SHA256_DIGEST_LENGTH);
	SHA256_Final(mac, &h->now);
}
