/* What there is where libzstd is not. */
#include "spool/codec.h"

#include <errno.h>

bool codec_exists(void)
{
	return false;
}

int codec_new(int level, struct codec **ret_codec)
{
	(void)level;
	(void)ret_codec;
	return -ENOSYS;
}

void codec_free(struct codec *codec)
{
	(void)codec;
}

size_t codec_room(size_t size)
{
	return size;
}

ssize_t codec_compress(struct codec *codec, void *to, size_t room, const void *from, size_t size)
{
	(void)codec;
	(void)to;
	(void)room;
	(void)from;
	(void)size;
	return -ENOSYS;
}

int codec_decompress(struct codec *codec, void *to, size_t size, const void *from, size_t from_size)
{
	(void)codec;
	(void)to;
	(void)size;
	(void)from;
	(void)from_size;
	return -ENOSYS;
}

ssize_t codec_salvage(struct codec *codec, void *to, size_t size, const void *from,
		      size_t from_size)
{
	return codec_decompress(codec, to, size, from, from_size);
}

bool codec_is_magic(const uint8_t *from)
{
	(void)from;
	return false;
}

ssize_t codec_plain_size(const void *from, size_t size)
{
	(void)from;
	(void)size;
	return -EBADMSG;
}

ssize_t codec_packed_size(const void *from, size_t size)
{
	return codec_plain_size(from, size);
}
