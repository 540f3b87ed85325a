/* Content codings undone piece by piece: gzip and deflate (RFC 9110 section 8.4.1). Output comes in pieces of at most
 * 32 KiB, so that a small input that means a large body is met by the reader's limits, not by our memory. */
#ifndef LARDER_CLIENT_DECODE_H
#define LARDER_CLIENT_DECODE_H

#include "larder/base.h"

typedef struct decoder decoder;

/* `coding` as in Content-Encoding. *ret_decoder is NULL where nothing has to be undone. -ENOTSUP for codings we never
 * asked for, -ENOMEM. */
int client_decoder_new(str coding, decoder **ret_decoder);
void client_decoder_free(decoder *d);
/* Takes from *raw; *ret_piece (valid until the next call) is empty when all of *raw is used up. -EPROTO, -ENOMEM. */
int client_decoder_run(decoder *d, str *raw, str *ret_piece);
/* The body may end here: the last stream in it is whole. */
bool client_decoder_is_complete(const decoder *d);

#endif
