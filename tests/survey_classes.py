"""Model classes of transformers and the verdict each must have; `docs/models.md` is made from this."""

EXACT = {  # adapter: classes
    "language": """
        AXK1ForCausalLM AfmoeForCausalLM ApertusForCausalLM ArceeForCausalLM AriaTextForCausalLM
        BailingHybridForCausalLM BambaForCausalLM BartForCausalLM BertGenerationDecoder BertLMHeadModel
        BigBirdPegasusForCausalLM BioGptForCausalLM BitNetForCausalLM BlenderbotForCausalLM BlenderbotSmallForCausalLM
        CTRLLMHeadModel CamembertForCausalLM Cohere2ForCausalLM Cohere2MoeForCausalLM CohereForCausalLM CwmForCausalLM
        Data2VecTextForCausalLM DeepseekV2ForCausalLM DeepseekV3ForCausalLM ElectraForCausalLM Emu3ForCausalLM
        Ernie4_5ForCausalLM Ernie4_5_MoeForCausalLM ErnieForCausalLM Exaone4ForCausalLM ExaoneMoeForCausalLM
        FalconH1ForCausalLM FlexOlmoForCausalLM FlintForCausalLM GPT2LMHeadModel GPTBigCodeForCausalLM
        GPTNeoXForCausalLM Gemma2ForCausalLM Gemma3ForCausalLM Gemma3nForCausalLM Gemma4ForCausalLM
        Gemma4UnifiedForCausalLM GemmaForCausalLM Glm4ForCausalLM Glm4MoeForCausalLM Glm4MoeLiteForCausalLM
        GlmForCausalLM GptOssForCausalLM GraniteForCausalLM GraniteMoeForCausalLM GraniteMoeHybridForCausalLM
        GraniteMoeSWAForCausalLM GraniteMoeSharedForCausalLM GraniteSWAForCausalLM HYV3ForCausalLM HeliumForCausalLM
        HrmTextForCausalLM HunYuanDenseV1ForCausalLM HunYuanMoEV1ForCausalLM HyperCLOVAXForCausalLM Jais2ForCausalLM
        JambaForCausalLM JetMoeForCausalLM KimiLinearForCausalLM Kolibri1ForCausalLM LagunaForCausalLM Lfm2ForCausalLM
        Lfm2MoeForCausalLM Llama4ForCausalLM LlamaForCausalLM LongcatFlashForCausalLM MBartForCausalLM MarianForCausalLM
        MellumForCausalLM MiMoV2FlashForCausalLM MiniCPM3ForCausalLM MiniMaxM2ForCausalLM MiniMaxM3VLForCausalLM
        Ministral3ForCausalLM MinistralForCausalLM Mistral4ForCausalLM MistralForCausalLM MixtralForCausalLM
        ModernBertDecoderForCausalLM MoshiForCausalLM NanoChatForCausalLM NemotronForCausalLM NemotronHForCausalLM
        OPTForCausalLM Olmo2ForCausalLM Olmo3ForCausalLM OlmoForCausalLM OlmoHybridForCausalLM OlmoeForCausalLM
        PLBartForCausalLM PegasusForCausalLM PersimmonForCausalLM Phi3ForCausalLM PhiForCausalLM PhimoeForCausalLM
        Qwen2ForCausalLM Qwen2MoeForCausalLM Qwen3ForCausalLM Qwen3MoeForCausalLM Qwen3NextForCausalLM
        Qwen3_5ForCausalLM Qwen3_5MoeForCausalLM RecurrentGemmaForCausalLM RobertaForCausalLM
        RobertaPreLayerNormForCausalLM SeedOssForCausalLM SmolLM3ForCausalLM SolarOpenForCausalLM StableLmForCausalLM
        Starcoder2ForCausalLM VaultGemmaForCausalLM WhisperForCausalLM XLMRobertaForCausalLM XLMRobertaXLForCausalLM
        YoutuForCausalLM Zamba2ForCausalLM ZambaForCausalLM
    """.split(),
    "llava_next_video": """
        LlavaNextVideoForConditionalGeneration
    """.split(),
    "vision_language": """
        AriaForConditionalGeneration AyaVisionForConditionalGeneration Cohere2VisionForConditionalGeneration
        Cosmos3OmniForConditionalGeneration DeepseekVLForConditionalGeneration DeepseekVLHybridForConditionalGeneration
        Exaone4_5_ForConditionalGeneration FuyuForCausalLM Gemma3ForConditionalGeneration Gemma4ForConditionalGeneration
        Glm46VForConditionalGeneration Glm4vForConditionalGeneration Glm4vMoeForConditionalGeneration
        GlmOcrForConditionalGeneration GotOcr2ForConditionalGeneration GraniteDoclingForConditionalGeneration
        HyperCLOVAXVisionV2ForConditionalGeneration Idefics2ForConditionalGeneration Idefics3ForConditionalGeneration
        InternVLForConditionalGeneration Kimi_K25ForConditionalGeneration Kosmos2_5ForConditionalGeneration
        Lfm2VlForConditionalGeneration LightOnOcrForConditionalGeneration LlavaForConditionalGeneration
        LlavaNextForConditionalGeneration LlavaOnevisionForConditionalGeneration MiniCPMOcrForConditionalGeneration
        MiniCPMV4_6ForConditionalGeneration MiniCPMV4_7ForConditionalGeneration MiniMaxM3SparseForConditionalGeneration
        Mistral3ForConditionalGeneration MossTranscribeDiarizeForConditionalGeneration Ovis2ForConditionalGeneration
        PaddleOCRVLForConditionalGeneration PaliGemmaForConditionalGeneration QianfanOCRForConditionalGeneration
        Qwen2VLForConditionalGeneration Qwen2_5_VLForConditionalGeneration Qwen3VLForConditionalGeneration
        Qwen3VLMoeForConditionalGeneration Qwen3_5ForConditionalGeneration Qwen3_5MoeForConditionalGeneration
        SmolVLMForConditionalGeneration Step3p7ForConditionalGeneration VideoLlama3ForConditionalGeneration
        VideoLlavaForConditionalGeneration VipLlavaForConditionalGeneration
    """.split(),
}
REFUSED = {  # what the refusal says of the model: classes
    "adds a bias of its own to attention": """
        Inkling2ForCausalLM InklingForCausalLM InklingForConditionalGeneration
    """.split(),
    "attends in both directions, as encoders do (is_decoder is false in its config)": """
        EvollaForProteinText2Text XmodForCausalLM
    """.split(),
    "computes on its attention mask, which has to follow evicted tokens": """
        DogeForCausalLM GitForCausalLM
    """.split(),
    "does not use transformers' attention interface": """
        BigBirdForCausalLM BlipForConditionalGeneration BloomForCausalLM CodeGenForCausalLM CpmAntForCausalLM
        FalconForCausalLM GPTJForCausalLM GPTNeoXJapaneseForCausalLM MegatronBertForCausalLM MptForCausalLM
        MvpForCausalLM ProphetNetForCausalLM RemBertForCausalLM RoFormerForCausalLM TrOCRForCausalLM XGLMForCausalLM
    """.split(),
    "has layers that attend to an encoder (cross_attention_layers)": """
        MllamaForCausalLM MllamaForConditionalGeneration
    """.split(),
    "has layers that keep more than keys and values (compressed_sparse_attention, heavily_compressed_attention)": """
        DeepseekV4ForCausalLM
    """.split(),
    "has layers that keep more than keys and values (indexed_attention)": """
        AXK2ForCausalLM DeepseekV32ForCausalLM GlmMoeDsaForCausalLM HYV4ForCausalLM
        MistralLarge4ForConditionalGeneration
    """.split(),
    "has layers that keep more than keys and values (reference_sliding_attention)": """
        UnlimitedOcrForConditionalGeneration
    """.split(),
    "has no attention layer (linear_attention only), so there is no growing cache to prune": """
        FalconMambaForCausalLM MambaForCausalLM
    """.split(),
    "has no num_hidden_layers in its config": """
        PI0ForConditionalGeneration
    """.split(),
    "contains other models inside its decoder (Phi4MultimodalAudioModel, Phi4MultimodalVisionModel)": """
        Phi4MultimodalForCausalLM
    """.split(),
    "is an encoder-decoder; only the cache of decoder-only models can be pruned": """
        BartForConditionalGeneration Pix2StructForConditionalGeneration T5ForConditionalGeneration
        T5Gemma2ForConditionalGeneration UdopForConditionalGeneration VisionEncoderDecoderModel
    """.split(),
    "combines values of different heads after caching them": """
        DiffLlamaForCausalLM
    """.split(),
    "reads several codebooks at once, a row for each": """
        MusicgenForCausalLM MusicgenMelodyForCausalLM
    """.split(),
    "only takes its own kind of cache": """
        MiniMaxForCausalLM
    """.split(),
    "takes no past_key_values, so it has no key-value cache to prune (it may be an encoder)": """
        DistilBertForMaskedLM LongformerForMaskedLM ModernBertForMaskedLM OpenAIGPTLMHeadModel RwkvForCausalLM
        XLNetLMHeadModel xLSTMForCausalLM
    """.split(),
    "writes blocks by diffusion instead of token by token": """
        DiffusionGemmaForBlockDiffusion
    """.split(),
}
