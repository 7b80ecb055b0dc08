// AAC to interleaved stereo floats at 48 kHz, with libavcodec and libswresample.
//
// In C and not declared in Rust because the layouts of their structs change from one release to the next: the
// compiler reads the headers of the installed one. Every function here is called with a decoder from
// helio_aac_open that has not been closed, by one thread at a time.

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <string.h>

enum { RATE = 48000 };

struct helio_aac {
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    SwrContext *resampler;
    AVChannelLayout layout;
    int rate;
    enum AVSampleFormat format;
};

void helio_aac_close(struct helio_aac *aac) {
    if (!aac)
        return;
    swr_free(&aac->resampler);
    av_channel_layout_uninit(&aac->layout);
    av_frame_free(&aac->frame);
    av_packet_free(&aac->packet);
    avcodec_free_context(&aac->codec);
    av_free(aac);
}

// `config` is an AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1). Null when that is none, or without memory.
struct helio_aac *helio_aac_open(const uint8_t *config, size_t length) {
    // It would write to standard error about every broken packet.
    av_log_set_level(AV_LOG_QUIET);
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_AAC);
    struct helio_aac *aac = av_mallocz(sizeof *aac);
    if (!codec || !aac) {
        av_free(aac);
        return NULL;
    }
    aac->codec = avcodec_alloc_context3(codec);
    aac->packet = av_packet_alloc();
    aac->frame = av_frame_alloc();
    if (!aac->codec || !aac->packet || !aac->frame)
        goto failed;
    aac->codec->extradata = av_mallocz(length + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!aac->codec->extradata)
        goto failed;
    memcpy(aac->codec->extradata, config, length);
    aac->codec->extradata_size = (int)length;
    aac->codec->thread_count = 1;
    if (avcodec_open2(aac->codec, codec, NULL) < 0)
        goto failed;
    return aac;
failed:
    helio_aac_close(aac);
    return NULL;
}

// Takes one raw AAC frame; negative when it is broken. Call helio_aac_take until it gives 0 before the next one.
int helio_aac_push(struct helio_aac *aac, const uint8_t *data, size_t length) {
    // With padding, and a copy: the decoder reads past the end.
    if (av_new_packet(aac->packet, (int)length) < 0)
        return AVERROR(ENOMEM);
    memcpy(aac->packet->data, data, length);
    int result = avcodec_send_packet(aac->codec, aac->packet);
    av_packet_unref(aac->packet);
    return result;
}

// A stream may change its rate or channels within: HE-AAC that says nothing of it at the start does.
static int follow_format(struct helio_aac *aac) {
    const AVFrame *frame = aac->frame;
    if (aac->resampler && frame->sample_rate == aac->rate && frame->format == aac->format &&
        av_channel_layout_compare(&frame->ch_layout, &aac->layout) == 0)
        return 0;
    swr_free(&aac->resampler);
    AVChannelLayout in = {0}, out = AV_CHANNEL_LAYOUT_STEREO;
    int result = av_channel_layout_copy(&aac->layout, &frame->ch_layout);
    if (result < 0)
        return result;
    if (aac->layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&in, aac->layout.nb_channels);
    else if ((result = av_channel_layout_copy(&in, &aac->layout)) < 0)
        return result;
    aac->rate = frame->sample_rate;
    aac->format = frame->format;
    result = swr_alloc_set_opts2(&aac->resampler, &out, AV_SAMPLE_FMT_FLT, RATE, &in, aac->format, aac->rate, 0, NULL);
    av_channel_layout_uninit(&in);
    // Also between equal rates: helio_aac_bend must not put the filter in later, which would click.
    if (result >= 0)
        result = av_opt_set_int(aac->resampler, "flags", SWR_FLAG_RESAMPLE, 0);
    if (result >= 0)
        result = swr_init(aac->resampler);
    if (result < 0)
        swr_free(&aac->resampler);
    return result;
}

// Writes what is decoded to `out`, which has room for `room` pairs of samples. Gives the number of pairs, 0 when
// there is nothing more, or a negative number when the stream is broken.
int helio_aac_take(struct helio_aac *aac, float *out, int room) {
    int result = avcodec_receive_frame(aac->codec, aac->frame);
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF)
        return 0;
    if (result < 0)
        return result;
    result = follow_format(aac);
    if (result >= 0) {
        uint8_t *to[1] = {(uint8_t *)out};
        // What has no room stays inside and comes out with the next frame.
        result = swr_convert(aac->resampler, to, room, (const uint8_t **)aac->frame->extended_data,
                             aac->frame->nb_samples);
    }
    av_frame_unref(aac->frame);
    return result;
}

// Makes the next `distance` samples out of so many more or fewer samples in.
int helio_aac_bend(struct helio_aac *aac, int more, int distance) {
    return aac->resampler ? swr_set_compensation(aac->resampler, more, distance) : 0;
}

// Hertz and channels of what was decoded last, 0 before that.
int helio_aac_rate(const struct helio_aac *aac) { return aac->rate; }
int helio_aac_channels(const struct helio_aac *aac) { return aac->layout.nb_channels; }
