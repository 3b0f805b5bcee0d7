// The texts of every rule in both languages: its name; the problem if it is not met (after "1 thing to fix:"); the advice.

export default {
  en: {
    one_person: ["One person", "more than one person, or nobody", ""], roll: ["Head upright", "the head is tilted", ""], yaw: ["Facing the camera", "the head is turned aside", ""], pitch: ["Chin level", "the chin is too high or too low", ""],
    head_height: ["Head height", "the head has the wrong size", ""], eye_line: ["Eye line", "the eyes are at the wrong height", ""], gap_above: ["Gap above the head", "the gap above the head is wrong", ""], gap_below: ["Gap below the chin", "the gap below the chin is wrong", ""],
    face_width: ["Face width", "the face has the wrong width", ""], head_width: ["Head width", "the head has the wrong width", ""], head_inside: ["Whole head", "the head is cut off", ""], shoulders_inside: ["Shoulders inside", "the shoulders are cut off", ""],
    shoulders_level: ["Shoulders level", "the shoulders are not level", ""], eyes_open: ["Eyes open", "the eyes are closed", ""], mouth_closed: ["Mouth closed", "the mouth is open", ""], no_smile: ["No smile", "a smile is not allowed", ""],
    eyes_clear: ["Nothing across the eyes", "something covers the eyes", ""], no_glare: ["No glare on glasses", "glasses reflect light", ""], sharp: ["Sharp", "the photo is blurred", ""], contrast: ["Contrast", "the face has too little contrast", ""],
    not_burnt: ["Not overexposed", "the face is overexposed", ""], not_dark: ["Not too dark", "the face is too dark", ""], even_light: ["Even light", "one side of the face is in shadow", ""], resolution: ["Enough pixels in the face", "the face has too few pixels", ""],
    enough_pixels: ["Not enlarged", "the photo has too few pixels", ""], background_even: ["Even background", "the background is not even", ""], background_color: ["Background colour", "the background has the wrong colour", ""],
    head_uncovered: ["Head uncovered", "the head is covered", ""], pixels: ["Pixels of the file", "the file has the wrong pixels", ""], dpi: ["Print resolution", "the file has the wrong dpi", ""], file_size: ["Size of the file", "the file has the wrong size in KB", ""],
    format: ["Format of the file", "the file has the wrong format", ""], compression: ["Compression of the file", "the file is compressed too much", ""],
  },
  zh: {
    one_person: ["只有一个人", "人数不对", "请只留一个人。"], roll: ["头部端正", "头歪了", "请把头摆正。"], yaw: ["正对镜头", "没有正对镜头", "请正对镜头，镜头与眼睛同高。"], pitch: ["不仰头不低头", "仰头或低头", "请把下巴放平，镜头与眼睛同高。"],
    head_height: ["头部高度", "头部大小不对", "请换一张更近或周围空间更多的照片。"], eye_line: ["眼睛高度", "眼睛高度不对", "请上下移动，或换一张周围空间更多的照片。"], gap_above: ["头顶留白", "头顶留白不对", "请上下移动，或换一张周围空间更多的照片。"], gap_below: ["下巴到下边", "下巴到下边的距离不对", "请上下移动，或换一张周围空间更多的照片。"],
    face_width: ["脸宽", "脸宽不对", "请缩放，或换一张照片。"], head_width: ["头宽", "头宽不对", "请缩放，或换一张照片。"], head_inside: ["头部完整", "头部被截断", "请换一张头部四周留有空间的照片。"], shoulders_inside: ["双肩完整", "肩膀被截断", "请退后一步再拍。"],
    shoulders_level: ["双肩水平", "肩膀不平", "请放平双肩。"], eyes_open: ["睁眼", "闭着眼", "请睁开眼睛，看着镜头。"], mouth_closed: ["闭嘴", "嘴张开了", "请闭嘴。"], no_smile: ["不笑", "有笑容", "请保持自然表情，不要笑。"],
    eyes_clear: ["眼睛无遮挡", "眼睛被遮挡", "请拨开头发，摘下墨镜或粗框眼镜。"], no_glare: ["眼镜无反光", "眼镜反光", "请摘下眼镜，或移开灯。"], sharp: ["清晰", "照片模糊", "请对准眼睛对焦，拿稳相机。"], contrast: ["明暗层次", "明暗层次不足", "光线要更足，并来自正面。"],
    not_burnt: ["不过曝", "脸部过曝", "请减弱光线。"], not_dark: ["不过暗", "脸部过暗", "请给脸部更多光。"], even_light: ["光线均匀", "脸部半边有阴影", "请从正面、两侧给脸部打光。"], resolution: ["脸部像素充足", "脸部像素不足", "请用像素更多的照片，或靠近些拍。"],
    enough_pixels: ["没有放大", "原图像素不足", "请用像素更多的照片，或靠近些拍。"], background_even: ["背景均匀", "背景不均匀", "请站在纯色墙前一米处，或更换底色。"], background_color: ["底色", "底色不对", "请选证件要求的底色。"],
    head_uncovered: ["头部无遮盖", "头部有遮盖", "我们分不清头发和帽子、头巾。只允许宗教或医疗用的遮盖。"], pixels: ["文件像素", "文件像素不对", "请按证件的像素保存。"], dpi: ["打印分辨率", "分辨率不对", "请按证件的分辨率保存。"], file_size: ["文件大小", "文件大小不对", "请调整 KB 范围。"],
    format: ["文件格式", "文件格式不对", "请换证件要求的格式。"], compression: ["压缩程度", "压缩过度", "请调大文件。"],
  },
};
