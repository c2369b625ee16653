/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of src/crypto share. */
#ifndef CRYPTO_INTERNAL_H
#define CRYPTO_INTERNAL_H

#include "crypto/crypto.h"
#include "crypto/hmac.h"

#include <openssl/evp.h>

struct cipher {
	u32 suite;
	const struct cipher_shape *shape;
	u8 salt[4];
	EVP_CIPHER_CTX *seal, *open; /* keyed once; a packet sets the IV only */
	struct hmac hmac;
};

/* -ENOMEM, -EOPNOTSUPP: this OpenSSL lacks the suite. */
int cipher_create(u32 suite, const u8 *key, struct cipher **ret) MUST_CHECK;
void cipher_destroy(struct cipher *c);
int cipher_seal(struct cipher *c, const struct cipher_text *t);
int cipher_open(struct cipher *c, const struct cipher_text *t);

#endif
