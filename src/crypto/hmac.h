/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * HMAC-SHA-256 (RFC 2104, RFC 4868) from OpenSSL's SHA-256, with both halves of the key hashed
 * once. EVP_MAC would allocate for each packet, so the older, simpler calls are used.
 */
#ifndef CRYPTO_HMAC_H
#define CRYPTO_HMAC_H

#include "base/types.h"

/* These calls are part of OpenSSL 1.1.1's interface and later only advised against. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

struct hmac {
	SHA256_CTX inner, outer; /* after the padded key */
	SHA256_CTX now;
};

/* `len` is at most 64. */
void hmac_key(struct hmac *h, const u8 *key, u32 len);
void hmac_begin(struct hmac *h);
void hmac_add(struct hmac *h, const void *data, size_t len);
void hmac_end(struct hmac *h, u8 mac[SHA256_DIGEST_LENGTH]);

#endif
