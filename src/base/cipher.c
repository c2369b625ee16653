/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "base/cipher.h"

static const struct cipher_shape shapes[CIPHER_SUITES] = {
	[CIPHER_AES_128_GCM] = {"aes-128-gcm", 16 + 4, 8, 4, true, true},
	[CIPHER_AES_256_GCM] = {"aes-256-gcm", 32 + 4, 8, 4, true, true},
	[CIPHER_CHACHA20_POLY1305] = {"chacha20-poly1305", 32 + 4, 8, 4, true, true},
	[CIPHER_AES_128_CBC_HMAC_SHA_256] = {"aes-128-cbc-hmac-sha-256", 16 + 32, 16, 16, true,
                                             false},
	[CIPHER_AES_256_CBC_HMAC_SHA_256] = {"aes-256-cbc-hmac-sha-256", 32 + 32, 16, 16, true,
                                             false},
	[CIPHER_HMAC_SHA_256] = {"hmac-sha-256", 32, 0, 4, false, false},
	[CIPHER_AES_128_GMAC] = {"aes-128-gmac", 16 + 4, 8, 4, false, false},
};

const struct cipher_shape *cipher_shape(u32 suite)
{
	return suite < CIPHER_SUITES ? &shapes[suite] : NULL;
}

u32 cipher_suite_named(const char *name, size_t len)
{
	for (u32 i = 0; i < CIPHER_SUITES; i++) {
		if (strlen(shapes[i].name) == len && !memcmp(shapes[i].name, name, len))
			return i;
	}
	return CIPHER_SUITES;
}
