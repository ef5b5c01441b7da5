/* Compression of one block of memory at a time. */
#ifndef WEIR_SPOOL_CODEC_H
#define WEIR_SPOOL_CODEC_H

#include "base/macro.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CODEC_LEVEL_DEFAULT 3
#define CODEC_LEVEL_MAX 19 /* higher ones take hundreds of MiB */

struct codec;

bool codec_exists(void); /* or weir was built without it */

/* `level`: how hard it tries, from 1 to CODEC_LEVEL_MAX; makes no difference for decompression.
 * Errors: −ENOMEM, −ENOSYS (built without it). */
int codec_new(int level, struct codec **ret_codec);
void codec_free(struct codec *codec);

/* How much room `size` bytes take at most. */
size_t codec_room(size_t size);

/* Makes a frame that stands by itself. Its size, or −ENOMEM. */
ssize_t codec_compress(struct codec *codec, void *to, size_t room, const void *from, size_t size);

/* Makes `size` bytes of a frame. −EBADMSG: it does not hold exactly that. */
int codec_decompress(struct codec *codec, void *to, size_t size, const void *from,
		     size_t from_size);

/* What can be made of a damaged frame: the bytes that stand before the damage, but for a checksum
 * of zstd's that does not fit. A count, or −ENOMEM. */
ssize_t codec_salvage(struct codec *codec, void *to, size_t size, const void *from,
		      size_t from_size);

/* Whether a frame may begin with these 4 bytes. How much it holds, by what its head says; how long
 * it is. −EBADMSG: that cannot be seen. */
bool codec_is_magic(const uint8_t *from);
ssize_t codec_plain_size(const void *from, size_t size);
ssize_t codec_packed_size(const void *from, size_t size);

DEFINE_CLEANUP(struct codec *, codec_free);

#endif
