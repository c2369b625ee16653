/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The suites on OpenSSL's EVP. Contexts are keyed at setup; a packet sets an IV, which allocates
 * nothing.
 */
#include "crypto/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

enum {
	AEAD_NONCE_BYTES = 12, /* salt, then the packet's IV */
	CBC_BLOCK = 16,
};

/* -- keys -------------------------------------------------------------------------------------- */

static const EVP_CIPHER *evp_of(u32 suite)
{
	switch (suite) {
	case CIPHER_AES_128_GCM:
	case CIPHER_AES_128_GMAC:
		return EVP_aes_128_gcm();
	case CIPHER_AES_256_GCM:
		return EVP_aes_256_gcm();
	case CIPHER_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	case CIPHER_AES_128_CBC_HMAC_SHA_256:
		return EVP_aes_128_cbc();
	case CIPHER_AES_256_CBC_HMAC_SHA_256:
		return EVP_aes_256_cbc();
	default:
		return NULL;
	}
}

/* GMAC is GCM that enciphers nothing, so it counts here. */
static bool is_aead(const struct cipher *c)
{
	return c->shape->aead || c->suite == CIPHER_AES_128_GMAC;
}

static int key_one(EVP_CIPHER_CTX **ret, const EVP_CIPHER *evp, const u8 *key, int enc)
{
	*ret = EVP_CIPHER_CTX_new();
	if (!*ret)
		return -ENOMEM;
	if (EVP_CipherInit_ex(*ret, evp, NULL, key, NULL, enc) != 1)
		return -EOPNOTSUPP;
	EVP_CIPHER_CTX_set_padding(*ret, 0);
	return 0;
}

int cipher_create(u32 suite, const u8 *key, struct cipher **ret)
{
	const EVP_CIPHER *evp = evp_of(suite);
	struct cipher *c = calloc(1, sizeof(*c));
	int err = 0;

	if (!c)
		return -ENOMEM;
	c->suite = suite;
	c->shape = cipher_shape(suite);
	if (evp) {
		err = key_one(&c->seal, evp, key, 1);
		if (!err)
			err = key_one(&c->open, evp, key, 0);
		key += EVP_CIPHER_key_length(evp);
	}
	if (err) {
		cipher_destroy(c);
		return err;
	}
	if (is_aead(c))
		memcpy(c->salt, key, sizeof(c->salt));
	else
		hmac_key(&c->hmac, key, SHA256_DIGEST_LENGTH);
	*ret = c;
	return 0;
}

void cipher_destroy(struct cipher *c)
{
	EVP_CIPHER_CTX_free(c->seal); /* wipes */
	EVP_CIPHER_CTX_free(c->open);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

/* -- AEAD: GCM, ChaCha20-Poly1305, GMAC -------------------------------------------------------- */

static int aad(EVP_CIPHER_CTX *ctx, const void *at, u32 len)
{
	int out;

	return !len || EVP_CipherUpdate(ctx, NULL, &out, at, (int)len) == 1;
}

/* All but the tag. */
static int aead_pass(struct cipher *c, EVP_CIPHER_CTX *ctx, const struct cipher_text *t)
{
	u8 nonce[AEAD_NONCE_BYTES];
	int out, ok;

	memcpy(nonce, c->salt, sizeof(c->salt));
	memcpy(nonce + sizeof(c->salt), t->iv, AEAD_NONCE_BYTES - sizeof(c->salt));
	ok = EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1;
	for (u32 i = 0; ok && i < t->n_before; i++)
		ok = aad(ctx, t->before[i].at, t->before[i].len);
	if (!c->shape->enciphers)
		ok = ok && aad(ctx, t->data, t->len);
	ok = ok && aad(ctx, t->after.at, t->after.len);
	if (c->shape->enciphers && t->len)
		ok = ok && EVP_CipherUpdate(ctx, t->data, &out, t->data, (int)t->len) == 1;
	return ok ? 0 : -EINVAL;
}

static int aead_seal(struct cipher *c, const struct cipher_text *t)
{
	u8 rest[CBC_BLOCK];
	int out;

	for (u32 i = 0; i < 8; i++)
		t->iv[i] = (u8)(t->nonce >> (56 - 8 * i));
	if (aead_pass(c, c->seal, t) || EVP_CipherFinal_ex(c->seal, rest, &out) != 1)
		return -EINVAL;
	if (EVP_CIPHER_CTX_ctrl(c->seal, EVP_CTRL_AEAD_GET_TAG, CIPHER_ICV_BYTES, t->icv) != 1)
		return -EINVAL;
	return 0;
}

static int aead_open(struct cipher *c, const struct cipher_text *t)
{
	u8 rest[CBC_BLOCK];
	int out;

	if (aead_pass(c, c->open, t))
		return -EINVAL;
	if (EVP_CIPHER_CTX_ctrl(c->open, EVP_CTRL_AEAD_SET_TAG, CIPHER_ICV_BYTES, t->icv) != 1)
		return -EINVAL;
	return EVP_CipherFinal_ex(c->open, rest, &out) == 1 ? 0 : -EBADMSG;
}

/* -- CBC and NULL, then HMAC ------------------------------------------------------------------- */

static void mac(struct cipher *c, const struct cipher_text *t, u8 ret[SHA256_DIGEST_LENGTH])
{
	hmac_begin(&c->hmac);
	for (u32 i = 0; i < t->n_before; i++)
		hmac_add(&c->hmac, t->before[i].at, t->before[i].len);
	hmac_add(&c->hmac, t->iv, c->shape->iv_bytes);
	hmac_add(&c->hmac, t->data, t->len);
	hmac_add(&c->hmac, t->after.at, t->after.len);
	hmac_end(&c->hmac, ret);
}

/*
 * RFC 3602 3 wants an IV that nobody can guess. The nonce, enciphered as a block of its own in
 * front of the data and under a zero IV, is one (NIST SP 800-38A C); chaining then does the rest.
 */
static int cbc_seal(struct cipher *c, const struct cipher_text *t)
{
	static const u8 zero[CBC_BLOCK];
	int out;

	if (t->iv + CBC_BLOCK != t->data || t->len % CBC_BLOCK)
		return -EINVAL;
	memset(t->iv, 0, CBC_BLOCK);
	memcpy(t->iv, &t->nonce, sizeof(t->nonce));
	if (EVP_CipherInit_ex(c->seal, NULL, NULL, NULL, zero, -1) != 1 ||
	    EVP_CipherUpdate(c->seal, t->iv, &out, t->iv, (int)t->len + CBC_BLOCK) != 1)
		return -EINVAL;
	return 0;
}

static int cbc_open(struct cipher *c, const struct cipher_text *t)
{
	int out;

	if (EVP_CipherInit_ex(c->open, NULL, NULL, NULL, t->iv, -1) != 1 ||
	    (t->len && EVP_CipherUpdate(c->open, t->data, &out, t->data, (int)t->len) != 1))
		return -EINVAL;
	return 0;
}

/* -- any --------------------------------------------------------------------------------------- */

static bool length_ok(const struct cipher *c, const struct cipher_text *t)
{
	return t->len <= INT_MAX / 2 && (!c->shape->enciphers || t->len % c->shape->align == 0);
}

int cipher_seal(struct cipher *c, const struct cipher_text *t)
{
	u8 full[SHA256_DIGEST_LENGTH];
	int err = 0;

	if (!length_ok(c, t))
		return -EINVAL;
	if (is_aead(c))
		return aead_seal(c, t);
	if (c->shape->enciphers)
		err = cbc_seal(c, t);
	if (err)
		return err;
	mac(c, t, full);
	memcpy(t->icv, full, CIPHER_ICV_BYTES);
	return 0;
}

int cipher_open(struct cipher *c, const struct cipher_text *t)
{
	u8 full[SHA256_DIGEST_LENGTH];

	if (!length_ok(c, t))
		return -EINVAL;
	if (is_aead(c))
		return aead_open(c, t);
	mac(c, t, full);
	if (CRYPTO_memcmp(full, t->icv, CIPHER_ICV_BYTES))
		return -EBADMSG;
	return c->shape->enciphers ? cbc_open(c, t) : 0;
}
