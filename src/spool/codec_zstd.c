/* By libzstd. A frame has a checksum of its own, so that one that is damaged is noticed as such,
 * and not only by the records in it. */
#include "spool/codec.h"

#include <errno.h>
#include <zstd.h>

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

int codec_decompress(struct codec *codec, void *to, size_t size, const void *from, size_t from_size)
{
	size_t n;

	if (!codec->unpacking)
		codec->unpacking = ZSTD_createDCtx();
	if (!codec->unpacking)
		return -ENOMEM;
	n = ZSTD_decompressDCtx(codec->unpacking, to, size, from, from_size);
	return ZSTD_isError(n) || n != size ? -EBADMSG : 0;
}
