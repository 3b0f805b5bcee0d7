// What /openapi.json says in English, in Chinese: by path and method, and by parameter. What is missing here stays English.

export const operations = {
  "post /rest/2.0/image-classify/v1/body_seg_photo": "裁剪、抠图并描述照片里的一个人",
  "get /oauth/2.0/token": "用 API Key 和 Secret Key 换取访问令牌",
  "post /oauth/2.0/token": "用 API Key 和 Secret Key 换取访问令牌",
  "post /v1/photo": "成品证件照、排版和检查结果，一次返回 JSON",
  "post /v1/photo/file": "成品证件照文件",
  "post /v1/photo/sheet": "打印排版文件",
  "post /v1/check": "逐条检查照片是否符合证件规定",
  "get /v1/sizes": "证件照规格与相纸",
  "post /v1/photos": "暂存照片，供后续请求使用",
  "get /v1/photos/{handle}": "查看暂存的照片（JPEG，最长边 2560 像素）",
  "delete /v1/photos/{handle}": "删除暂存的照片",
  "get /healthz": "进程存活", "get /readyz": "模型已加载", "get /metrics": "Prometheus 指标",
};

export const parameters = {
  size: "/v1/sizes 里的名称，或 35x45mm、413x531px、2x2in、35x45mm@600", background: "white、#438edb、vertical:blue,white、radial:white,blue、transparent、keep；默认按证件",
  format: "jpeg、png、webp、tiff、pdf；默认 JPEG，透明时 PNG", kb: "文件大小（KB）：最大，或 最小-最大；默认按证件", paper: "相纸：5inch、6inch、7inch、A4、A5、Letter、100x148mm",
  copies: "排版张数；默认排满", sheet_format: "pdf、jpeg、png；默认 PDF，按实际毫米", margin: "相纸边距（毫米），默认 4", gap: "照片间距（毫米），默认 2", marks: "裁切标记：corners、lines、none",
  px: "同比例的其他像素，如 600x600；默认按证件", dpi: "写入文件的分辨率；默认按证件", right: "手动：头部右移（成品毫米）", down: "手动：头部下移（成品毫米）", zoom: "手动：以两眼中点缩放，0.25 到 4",
  turn: "手动：以两眼中点顺时针旋转（度），-45 到 45", flip: "1：左右镜像", light: "手动：亮度（档），-1 到 1；会标明为修改", check: "0：不返回检查结果；默认 1", layers: "1：同时返回人物图层，可换任意背景",
  handle: "POST /v1/photos 返回的句柄，代替请求体", finished: "1：按成品检查，含文件；0：按摆放之后检查", q: "搜索词，中英文均可，或尺寸：英国护照、美签、一寸、2x2、295x413；默认全部",
  access_token: "/oauth/2.0/token 返回的令牌；也可用 Authorization: Bearer 令牌，或 bce-auth 签名", image: "JPEG、PNG 或 BMP 的 Base64，再 urlencode", body: "图片文件本身：JPEG、PNG、WebP、HEIC、AVIF、TIFF、GIF、BMP；有 handle 时为空",
};

export const statuses = {
  200: "成功", 201: "已暂存：handle、life_s、bytes", 400: "参数不成立，或没有照片", 401: "没有令牌，或令牌不对、已过期", 403: "其他网站发起的请求", 408: "请求体没有按时到达", 410: "句柄下没有照片，请重新发送",
  413: "请求体过大", 415: "无法识别的图片，或外面套了表单", 422: "照片损坏、尺寸不合适，或不是恰好一个端正的人", 429: "太快，或当日次数用完", 503: "排队已满，或模型未就绪",
};
