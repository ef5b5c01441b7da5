/* By libzstd. A frame has a checksum of its own, so that one that is damaged is noticed as such,
 * and not only by the records in it. */
#include "spool/codec.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <zstd.h>

#define MAGIC_SIZE 4
#define WINDOW_LOG_MAX 23 /* as much as a frame may hold: a damaged one may ask for any memory */

struct codec {
	int level;
	ZSTD_CCtx *packing; /* each made when it is needed */
	ZSTD_DCtx *unpacking;
};

bool codec_exists(void)
{
	return true;
}

int codec_new(int level, struct codec **ret_codec)
{
	struct codec *codec = calloc(1, sizeof(*codec));

	if (!codec)
		return -ENOMEM;
	codec->level = level;
	*ret_codec = codec;
	return 0;
}

void codec_free(struct codec *codec)
{
	if (!codec)
		return;
	ZSTD_freeCCtx(codec->packing);
	ZSTD_freeDCtx(codec->unpacking);
	free(codec);
}

size_t codec_room(size_t size)
{
	return ZSTD_compressBound(size);
}

static bool prepare_to_pack(struct codec *codec)
{
	if (codec->packing)
		return true;
	codec->packing = ZSTD_createCCtx();
	if (!codec->packing)
		return false;
	ZSTD_CCtx_setParameter(codec->packing, ZSTD_c_compressionLevel, codec->level);
	ZSTD_CCtx_setParameter(codec->packing, ZSTD_c_checksumFlag, 1);
	return true;
}

ssize_t codec_compress(struct codec *codec, void *to, size_t room, const void *from, size_t size)
{
	size_t n;

	if (!prepare_to_pack(codec))
		return -ENOMEM;
	n = ZSTD_compress2(codec->packing, to, room, from, size);
	return ZSTD_isError(n) ? -ENOMEM : (ssize_t)n;
}

bool codec_is_magic(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value) == ZSTD_MAGICNUMBER;
}

/* Not one of an old format of zstd's, which libzstd may know too. */
static bool is_frame(const void *from, size_t size)
{
	return size >= MAGIC_SIZE && codec_is_magic(from);
}

static bool prepare_to_unpack(struct codec *codec)
{
	if (codec->unpacking)
		return true;
	codec->unpacking = ZSTD_createDCtx();
	if (!codec->unpacking)
		return false;
	ZSTD_DCtx_setParameter(codec->unpacking, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	return true;
}

int codec_decompress(struct codec *codec, void *to, size_t size, const void *from, size_t from_size)
{
	size_t n;

	if (!is_frame(from, from_size) ||
	    ZSTD_findFrameCompressedSize(from, from_size) != from_size)
		return -EBADMSG;
	if (!prepare_to_unpack(codec))
		return -ENOMEM;
	n = ZSTD_decompressDCtx(codec->unpacking, to, size, from, from_size);
	return ZSTD_isError(n) || n != size ? -EBADMSG : 0;
}

/* Block by block, with as much at a time as is asked for: a call that fails does not tell what it
 * has made before. */
ssize_t codec_salvage(struct codec *codec, void *to, size_t size, const void *from,
		      size_t from_size)
{
	ZSTD_outBuffer out = {.dst = to, .size = size};
	ZSTD_inBuffer in = {.src = from};
	size_t wanted, before;

	if (!is_frame(from, from_size))
		return 0;
	if (!prepare_to_unpack(codec))
		return -ENOMEM;
	wanted = ZSTD_initDStream(codec->unpacking);
	do {
		before = in.pos + out.pos;
		in.size = MIN(in.pos + wanted, from_size);
		wanted = ZSTD_decompressStream(codec->unpacking, &out, &in);
	} while (!ZSTD_isError(wanted) && wanted > 0 && in.pos + out.pos > before);
	ZSTD_DCtx_reset(codec->unpacking, ZSTD_reset_session_only);
	return (ssize_t)out.pos;
}

ssize_t codec_plain_size(const void *from, size_t size)
{
	unsigned long long n = is_frame(from, size) ? ZSTD_getFrameContentSize(from, size)
						    : ZSTD_CONTENTSIZE_ERROR;

	return n <= SSIZE_MAX ? (ssize_t)n : -EBADMSG;
}

ssize_t codec_packed_size(const void *from, size_t size)
{
	size_t n = ZSTD_findFrameCompressedSize(from, size);

	return ZSTD_isError(n) ? -EBADMSG : (ssize_t)n;
}
